import { Select, Slider } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useId } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { useLanguageName } from "../../parts/useLanguageName";
import type { VoicePublic } from "../../wire/generated";
import type { TutorWish } from "../models";
import { VOICES } from "../queries";
import { ListenButton, ListenTrouble } from "../voices/Listen";
import { samplePath } from "../voices/sample";
import classes from "./Tutors.module.css";

type Voice = TutorWish["voice"];

const MARKS = [0.5, 1, 1.5, 2].map((value) => ({ value, label: `${value}×` }));

export function VoiceFields({
  voice,
  language,
  change,
}: {
  voice: Voice;
  /** Of the sentence to listen to; null: the page's. */
  language: string | null;
  change: (voice: Voice) => void;
}) {
  const { t, i18n } = useTranslation("admin");
  const voices = useQuery(VOICES);
  const label = useVoiceLabel();
  const known = new Map((voices.data ?? []).map((one) => [one.name, label(one)]));
  if (voice.name && !known.has(voice.name)) known.set(voice.name, voice.name);
  const { name, rate, pitch } = voice;
  const path = samplePath(name, { language: language ?? i18n.language, rate, pitch });
  return (
    <>
      <div>
        <div className={classes.voice}>
          <Select
            label={t("voice.name")}
            description={t(voices.isError ? "voice.away" : "voice.hint")}
            name="voice"
            placeholder={t("voice.usual")}
            data={[...known].map(([value, text]) => ({ value, label: text }))}
            searchable
            clearable
            clearButtonProps={{ "aria-label": t("voice.usual") }}
            limit={200}
            value={voice.name || null}
            onChange={(name) => change({ ...voice, name: name ?? "" })}
          />
          <ListenButton path={path} name={name || t("voice.usual")} />
        </div>
        <ListenTrouble path={path} />
        <Link to="/admin/voices" className={classes.more}>
          {t("voice.more")}
        </Link>
      </div>
      <Pace label={t("voice.rate")} value={voice.rate} change={(rate) => change({ ...voice, rate })} />
      <Pace label={t("voice.pitch")} value={voice.pitch} change={(pitch) => change({ ...voice, pitch })} />
    </>
  );
}

function useVoiceLabel(): (voice: VoicePublic) => string {
  const { t } = useTranslation("admin");
  const nameOf = useLanguageName();
  return ({ name, language, kind }) => {
    const facts = [language && nameOf(language), kind === "cloned" && t("voice.cloned")].filter(Boolean);
    return facts.length ? `${name} (${facts.join(", ")})` : name;
  };
}

function Pace({ label, value, change }: { label: string; value: number; change: (value: number) => void }) {
  const id = useId();
  return (
    <div className={classes.slider}>
      <span id={id}>{label}</span>
      <Slider
        min={0.5}
        max={2}
        step={0.05}
        marks={MARKS}
        mb="lg"
        label={(pace) => `${pace.toFixed(2)}×`}
        thumbProps={{ "aria-labelledby": id }}
        value={value}
        onChange={(pace) => change(Math.round(pace * 100) / 100)}
      />
    </div>
  );
}
