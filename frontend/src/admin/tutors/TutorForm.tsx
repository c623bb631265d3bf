import { Button, Loader, Radio, Select, Switch, Textarea, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { useLanguageName } from "../../parts/useLanguageName";
import type { TutorWish } from "../models";
import parts from "../parts/Parts.module.css";
import { Refused } from "../parts/Refused";
import { BASES } from "../queries";
import { FaceField } from "./FaceField";
import { LANGUAGES } from "./languages";
import { ModelField } from "./ModelField";
import classes from "./Tutors.module.css";
import { type Draft, useDraft } from "./useDraft";
import { VoiceFields } from "./VoiceFields";

export interface TutorFormProps {
  /** Under which the draft is kept. */
  id: string;
  saved: TutorWish;
  /** Raises `Refusal`; then nothing has changed. */
  save: (wish: TutorWish) => Promise<unknown>;
  error: unknown;
  isSaving: boolean;
  wasSaved?: boolean | undefined;
}

export function TutorForm({ id, saved, save, error, isSaving, wasSaved = false }: TutorFormProps) {
  const { t } = useTranslation("admin");
  const draft = useDraft(id, saved);
  const [wasSent, setWasSent] = useState(false);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setWasSent(true);
    if (!draft.wish.name.trim()) {
      document.querySelector<HTMLInputElement>("input[name=name]")?.focus();
      return;
    }
    try {
      await save(wishOf(draft.wish));
      draft.settle(draft.wish);
    } catch {
      // `error` says why
    }
  };
  return (
    <form onSubmit={submit} noValidate className={classes.form}>
      <Person draft={draft} wasSent={wasSent} />
      <Speech draft={draft} />
      <Thinking draft={draft} />
      <Publication draft={draft} />
      <Refused error={error} />
      <div className={classes.bar}>
        <span role="status">{draft.isChanged ? t("tutors.unsaved") : wasSaved && t("tutors.saved")}</span>
        <span className={classes.gap} />
        {draft.isChanged && (
          <Button variant="default" onClick={draft.discard} disabled={isSaving}>
            {t("tutors.discard")}
          </Button>
        )}
        <Button type="submit" loading={isSaving}>
          {t("app.save")}
        </Button>
      </div>
    </form>
  );
}

/** Without what only an answer has. */
function wishOf(wish: TutorWish): TutorWish {
  const { name, subject, description, language, prompt, model, voice, face, kb_id, outside, published } =
    wish;
  return { name, subject, description, language, prompt, model, voice, face, kb_id, outside, published };
}

function Person({ draft: { wish, change }, wasSent }: { draft: Draft; wasSent: boolean }) {
  const { t } = useTranslation("admin");
  return (
    <section className={parts.sheet}>
      <h2>{t("tutors.person")}</h2>
      <div className={classes.fields}>
        <div className={classes.pair}>
          <TextInput
            label={t("tutors.name")}
            name="name"
            maxLength={100}
            value={wish.name}
            onChange={(event) => change({ name: event.currentTarget.value })}
            error={wasSent && !wish.name.trim() && t("tutors.nameMissing")}
          />
          <TextInput
            label={t("tutors.subject")}
            name="subject"
            maxLength={100}
            value={wish.subject}
            onChange={(event) => change({ subject: event.currentTarget.value })}
          />
        </div>
        <Textarea
          label={t("tutors.description")}
          description={t("tutors.descriptionHint")}
          name="description"
          maxLength={2000}
          autosize
          minRows={2}
          value={wish.description}
          onChange={(event) => change({ description: event.currentTarget.value })}
        />
        <FaceField face={wish.face} change={(face) => change({ face })} />
      </div>
    </section>
  );
}

function Speech({ draft: { wish, change } }: { draft: Draft }) {
  const { t } = useTranslation("admin");
  const nameOf = useLanguageName();
  const codes =
    wish.language && !LANGUAGES.includes(wish.language) ? [...LANGUAGES, wish.language] : LANGUAGES;
  return (
    <section className={parts.sheet}>
      <h2>{t("tutors.speech")}</h2>
      <div className={classes.pair}>
        <Select
          label={t("tutors.language")}
          description={t("tutors.languageHint")}
          name="language"
          placeholder={t("tutors.anyLanguage")}
          data={codes.map((code) => ({ value: code, label: nameOf(code) }))}
          searchable
          clearable
          clearButtonProps={{ "aria-label": t("tutors.anyLanguage") }}
          value={wish.language}
          onChange={(language) => change({ language })}
        />
        <VoiceFields voice={wish.voice} language={wish.language} change={(voice) => change({ voice })} />
      </div>
    </section>
  );
}

function Thinking({ draft: { wish, change } }: { draft: Draft }) {
  const { t } = useTranslation("admin");
  return (
    <section className={parts.sheet}>
      <h2>{t("tutors.thinking")}</h2>
      <div className={classes.fields}>
        <Textarea
          label={t("tutors.prompt")}
          description={t("tutors.promptHint", { name: "{name}" })}
          name="prompt"
          maxLength={20000}
          autosize
          minRows={3}
          maxRows={16}
          value={wish.prompt}
          onChange={(event) => change({ prompt: event.currentTarget.value })}
        />
        <div className={classes.pair}>
          <ModelField model={wish.model} change={(model) => change({ model })} />
          <Course draft={{ wish, change }} />
        </div>
        {wish.kb_id && (
          <Radio.Group
            label={t("tutors.outside")}
            value={wish.outside}
            onChange={(outside) => change({ outside: outside as TutorWish["outside"] })}
          >
            <div className={parts.form} style={{ marginTop: 10 }}>
              <Radio value="say_so" label={t("tutors.saySo")} />
              <Radio value="general" label={t("tutors.general")} />
            </div>
          </Radio.Group>
        )}
      </div>
    </section>
  );
}

function Course({ draft: { wish, change } }: { draft: Pick<Draft, "wish" | "change"> }) {
  const { t } = useTranslation("admin");
  const bases = useQuery(BASES);
  const known = (bases.data ?? []).map(({ kb_id, name }) => ({ value: kb_id, label: name }));
  const isLoading = bases.isPending && wish.kb_id !== null;
  const isListed = !wish.kb_id || known.some(({ value }) => value === wish.kb_id);
  const data = isListed ? known : [...known, { value: wish.kb_id ?? "", label: t("tutors.baseKept") }];
  return (
    <Select
      label={t("tutors.base")}
      description={t(bases.isError ? "tutors.basesAway" : "tutors.baseHint")}
      name="base"
      placeholder={t(isLoading ? "tutors.basesLoading" : "tutors.noBase")}
      disabled={isLoading}
      {...(isLoading && { rightSection: <Loader size={16} aria-hidden /> })}
      nothingFoundMessage={t("bases.empty")}
      data={data}
      clearable
      clearButtonProps={{ "aria-label": t("tutors.noBase") }}
      value={isLoading ? null : wish.kb_id}
      onChange={(kb_id) => change({ kb_id })}
    />
  );
}

function Publication({ draft: { wish, change } }: { draft: Draft }) {
  const { t } = useTranslation("admin");
  return (
    <section className={parts.sheet}>
      <Switch
        size="md"
        name="published"
        label={t("tutors.publish")}
        description={t("tutors.publishHint")}
        checked={wish.published}
        onChange={(event) => change({ published: event.currentTarget.checked })}
      />
    </section>
  );
}
