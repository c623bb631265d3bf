import { Alert } from "@mantine/core";
import { useSentence } from "../parts/useSentence";

/** How it went. */
export function Told({ error, done }: { error: unknown; done: string | false }) {
  const sentence = useSentence();
  if (error) {
    return (
      <Alert color="clay" variant="light" role="alert">
        {sentence(error)}
      </Alert>
    );
  }
  return done ? <div role="status">{done}</div> : null;
}
