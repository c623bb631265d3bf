import { Button, Modal, Switch, TextInput } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { Drop } from "../parts/Drop";
import parts from "../parts/Parts.module.css";
import { useObjectUrl } from "../parts/useObjectUrl";
import { useTooLarge } from "../parts/useTooLarge";
import { FACES } from "../queries";
import { uploads } from "../uploads";
import { type Box, BoxField, textOf, USUAL_BOX } from "./BoxField";

const MAX_NAME_CHARS = 48; // the engine's
const KINDS = "image/jpeg,image/png,image/webp,video/mp4,video/quicktime,video/webm,video/x-matroska,.mkv";

/** A photo or a clip, of which a face is to be made. */
export function FaceDialog({ target, close }: { target: string; close: () => void }) {
  const { t } = useTranslation("admin");
  const [file, setFile] = useState<File | null>(null);
  return (
    <Modal
      opened
      onClose={close}
      title={t("faces.add")}
      size="lg"
      closeButtonProps={{ "aria-label": t("app.close") }}
    >
      {file ? (
        <FaceForm file={file} target={target} close={close} />
      ) : (
        <Drop
          button={t("faces.choose")}
          hint={t("faces.advice")}
          accept={KINDS}
          take={([first]) => setFile(first ?? null)}
        />
      )}
    </Modal>
  );
}

function FaceForm({ file, target, close }: { file: File; target: string; close: () => void }) {
  const { t } = useTranslation("admin");
  const queries = useQueryClient();
  const tooLarge = useTooLarge();
  const [name, setName] = useState(nameOf(file));
  const [box, setBox] = useState<Box | null>(null);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const given = name.trim();
    if (!given) return;
    const query = new URLSearchParams({ name: given, ...(box && { box: textOf(box) }) });
    const done = () => void queries.invalidateQueries({ queryKey: FACES.queryKey });
    uploads.add({ target, name: given, path: `${target}?${query}`, file, done, refused: tooLarge(file) });
    close();
  };
  return (
    <form onSubmit={submit} className={parts.form}>
      <TextInput
        label={t("faces.name")}
        description={t("faces.nameHint")}
        name="face"
        maxLength={MAX_NAME_CHARS}
        autoComplete="off"
        data-autofocus
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
        error={!name.trim() && t("faces.nameMissing")}
      />
      <BoxField box={box} change={setBox}>
        <Preview file={file} />
      </BoxField>
      <Switch
        label={t("faces.boxWanted")}
        description={t("faces.boxHint")}
        checked={box !== null}
        onChange={(event) => setBox(event.currentTarget.checked ? USUAL_BOX : null)}
      />
      <p className={parts.hint}>{t("faces.consent")}</p>
      <div className={parts.buttons}>
        <Button variant="default" onClick={close}>
          {t("app.cancel")}
        </Button>
        <Button type="submit">{t("faces.send")}</Button>
      </div>
    </form>
  );
}

/** As the file is called, without what names cannot have. */
function nameOf(file: File): string {
  const words = file.name.replace(/\.[^.]*$/, "").replace(/[^\p{L}\p{N} _-]+/gu, " ");
  return words.trim().slice(0, MAX_NAME_CHARS).trim();
}

function Preview({ file }: { file: File }) {
  const { t } = useTranslation("admin");
  const url = useObjectUrl(file);
  if (!url) return null;
  if (file.type.startsWith("video/")) {
    return <video src={url} muted playsInline preload="auto" aria-label={t("faces.preview")} />;
  }
  return <img src={url} alt={t("faces.preview")} draggable={false} />;
}
