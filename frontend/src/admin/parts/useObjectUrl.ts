import { useEffect, useState } from "react";

/** Under which the browser finds what it has; empty for a moment. */
export function useObjectUrl(file: Blob): string {
  const [url, setUrl] = useState("");
  useEffect(() => {
    const made = URL.createObjectURL(file);
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [file]);
  return url;
}
