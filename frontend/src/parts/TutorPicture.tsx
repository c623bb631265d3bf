import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { download } from "../api/http";
import classes from "./TutorPicture.module.css";

interface Pictured {
  name: string;
  picture_url: string;
}

/** A still picture of a tutor's face; the first letter of the name while there is none. */
export function TutorPicture({ tutor, alt = "" }: { tutor: Pictured; alt?: string }) {
  const url = useProtectedPicture(tutor.picture_url);
  if (url) return <img className={classes.picture} src={url} alt={alt} draggable={false} />;
  return (
    <span className={classes.letter}>
      {alt && <span className="unseen">{alt}</span>}
      <span aria-hidden>{[...tutor.name][0]}</span>
    </span>
  );
}

/** Pictures want the login, which an `<img>` does not send: so they are fetched. */
function useProtectedPicture(path: string): string | null {
  const { data: blob } = useQuery({
    queryKey: ["picture", path],
    queryFn: () => download(path),
    staleTime: 600_000, // faces change rarely
    retry: false,
  });
  const [url, setUrl] = useState<string | null>(null);
  useEffect(() => {
    if (!blob) return;
    const made = URL.createObjectURL(blob);
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [blob]);
  return url;
}
