import { Button, Modal, Select, TextInput } from "@mantine/core";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { call } from "../../api/http";
import { useLanguageName } from "../../parts/useLanguageName";
import type { VoiceCreate, VoicePublic } from "../../wire/generated";
import parts from "../parts/Parts.module.css";
import { Refused } from "../parts/Refused";
import { useChange, VOICES } from "../queries";
import { LANGUAGES } from "../tutors/languages";
import { NeedsCoqui } from "./NeedsCoqui";
import { type Recording, RecordingField } from "./RecordingField";
import { base64Of, troubleOf } from "./recording";
import { VOICES_PATH } from "./sample";

const MAX_NAME_CHARS = 48; // the engine's

interface Draft {
  name: string;
  language: string | null;
  recording: Recording | null;
}

/** A recording of somebody, of which a voice is to be made. */
export function VoiceDialog({ voices, close }: { voices: VoicePublic[]; close: () => void }) {
  const { t, i18n } = useTranslation("admin");
  const nameOf = useLanguageName();
  const [draft, setDraft] = useState<Draft>({ name: "", language: i18n.language, recording: null });
  const [wasSent, setWasSent] = useState(false);
  const add = useChange(sent, [VOICES.queryKey], close);
  const change = (news: Partial<Draft>) => setDraft((before) => ({ ...before, ...news }));
  const { name, recording } = draft;
  const isFit = recording !== null && !troubleOf(recording.sound.size, recording.seconds);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setWasSent(true);
    if (name.trim() && isFit) add.mutate(draft);
  };
  return (
    <Modal
      opened
      onClose={close}
      title={t("voices.add")}
      size="lg"
      closeButtonProps={{ "aria-label": t("app.close") }}
    >
      <form onSubmit={submit} noValidate className={parts.form}>
        <NeedsCoqui voices={voices} />
        <TextInput
          label={t("voices.name")}
          description={t("voices.nameHint")}
          name="voice"
          maxLength={MAX_NAME_CHARS}
          autoComplete="off"
          data-autofocus
          value={name}
          onChange={(event) => change({ name: event.currentTarget.value })}
          error={wasSent && !name.trim() && t("voices.nameMissing")}
        />
        <Select
          label={t("voices.language")}
          description={t("voices.languageHint")}
          name="language"
          placeholder={t("voices.anyLanguage")}
          data={LANGUAGES.map((code) => ({ value: code, label: nameOf(code) }))}
          searchable
          clearable
          clearButtonProps={{ "aria-label": t("voices.anyLanguage") }}
          value={draft.language}
          onChange={(language) => change({ language })}
        />
        <RecordingField
          recording={recording}
          change={(given) => change({ recording: given })}
          error={wasSent && !recording && t("voices.recordingMissing")}
        />
        <p className={parts.hint}>{t("voices.consent")}</p>
        <Refused error={add.error} />
        <div className={parts.buttons}>
          <Button variant="default" onClick={close}>
            {t("app.cancel")}
          </Button>
          <Button type="submit" loading={add.isPending}>
            {t("voices.send")}
          </Button>
        </div>
      </form>
    </Modal>
  );
}

async function sent({ name, language, recording }: Draft): Promise<VoicePublic> {
  const sound = recording ? await base64Of(recording.sound) : "";
  const wish: VoiceCreate = { name: name.trim(), language, recording: sound };
  return call("POST", VOICES_PATH, wish);
}
