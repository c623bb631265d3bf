import { Alert } from "@mantine/core";
import { useTranslation } from "react-i18next";
import type { VoicePublic } from "../../wire/generated";

const CLONING_ENGINE = "coqui";

/** Says so when what speaks now cannot speak with a person's voice. */
export function NeedsCoqui({ voices }: { voices: VoicePublic[] }) {
  const { t } = useTranslation("admin");
  const speaking = voices.filter(({ kind }) => kind === "built-in").map(({ engine }) => engine);
  const [engine] = speaking;
  if (!engine || speaking.includes(CLONING_ENGINE)) return null;
  return (
    <Alert color="yellow" variant="light" role="status">
      {t("voices.needsCoqui", { engine })}
    </Alert>
  );
}
