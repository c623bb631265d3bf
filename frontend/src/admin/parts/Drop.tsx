import { Button, FileButton } from "@mantine/core";
import { FileUp } from "lucide-react";
import { type DragEvent, useState } from "react";
import classes from "./Parts.module.css";

/** A place for files: to drop them on, or to choose them with a button. */
export function Drop({
  button,
  hint,
  accept,
  multiple = false,
  take,
}: {
  button: string;
  hint: string;
  accept: string;
  multiple?: boolean;
  take: (files: File[]) => void;
}) {
  const [isOver, setIsOver] = useState(false);
  const drop = (event: DragEvent) => {
    event.preventDefault();
    setIsOver(false);
    const files = [...event.dataTransfer.files];
    if (files.length) take(multiple ? files : files.slice(0, 1));
  };
  const over = (event: DragEvent) => {
    event.preventDefault();
    setIsOver(true);
  };
  const chosen = (files: File | File[] | null) => {
    if (files) take([files].flat());
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the button does the same from the keyboard
    <div
      className={classes.drop}
      data-over={isOver || undefined}
      onDragOver={over}
      onDragLeave={() => setIsOver(false)}
      onDrop={drop}
    >
      <FileUp size={30} aria-hidden />
      <FileButton accept={accept} multiple={multiple} onChange={chosen}>
        {(props) => (
          <Button variant="light" {...props}>
            {button}
          </Button>
        )}
      </FileButton>
      <p>{hint}</p>
    </div>
  );
}
