import { Alert } from "@mantine/core";
import { useSentence } from "../../parts/useSentence";

/** Why something was not done; nothing where there is no error. */
export function Refused({ error }: { error: unknown }) {
  const sentence = useSentence();
  if (!error) return null;
  return (
    <Alert color="clay" variant="light" role="alert">
      {sentence(error)}
    </Alert>
  );
}
