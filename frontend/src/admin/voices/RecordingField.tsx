import { Button } from "@mantine/core";
import { Mic, Square } from "lucide-react";
import { useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { useLevel } from "../../conversation/useLevel";
import { Drop } from "../parts/Drop";
import parts from "../parts/Parts.module.css";
import { useObjectUrl } from "../parts/useObjectUrl";
import { LEAST_S, MOST_S, secondsOf, troubleOf } from "./recording";
import { useRecorder } from "./useRecorder";
import classes from "./Voices.module.css";

const KINDS = "audio/*,video/webm,.wav,.webm,.ogg,.mp3,.flac,.m4a";

export interface Recording {
  sound: Blob;
  /** Of a file. */
  name: string;
  /** Null: the browser cannot tell. */
  seconds: number | null;
}

/** A recording of 3 to 30 s: a file, or made right here; heard before it is sent. */
export function RecordingField({
  recording,
  change,
  error,
}: {
  recording: Recording | null;
  change: (recording: Recording | null) => void;
  error: string | false;
}) {
  const { t } = useTranslation("admin");
  const take = async (sound: Blob, name: string) => change({ sound, name, seconds: await secondsOf(sound) });
  return (
    <fieldset className={classes.recording}>
      <legend>{t("voices.recording")}</legend>
      {recording ? (
        <Taken recording={recording} drop={() => change(null)} />
      ) : (
        <>
          <Recorder done={(sound) => void take(sound, "")} />
          <Drop
            button={t("voices.choose")}
            hint={t("voices.advice")}
            accept={KINDS}
            take={([file]) => file && void take(file, file.name)}
          />
        </>
      )}
      {error && (
        <p role="alert" className={classes.error}>
          {error}
        </p>
      )}
    </fieldset>
  );
}

function Taken({ recording, drop }: { recording: Recording; drop: () => void }) {
  const { t } = useTranslation("admin");
  const seconds = useSeconds();
  const url = useObjectUrl(recording.sound);
  const trouble = troubleOf(recording.sound.size, recording.seconds);
  return (
    <div className={classes.taken}>
      <div className={parts.row}>
        <span>
          <span className={parts.who}>{recording.name || t("voices.recorded")}</span>
          {recording.seconds !== null && <span className={parts.facts}>{seconds(recording.seconds)}</span>}
        </span>
        <Button variant="default" size="sm" onClick={drop}>
          {t("voices.another")}
        </Button>
      </div>
      {/* biome-ignore lint/a11y/useMediaCaption: what a person has just said themselves */}
      {url && <audio src={url} controls preload="auto" aria-label={t("voices.playback")} />}
      {trouble && (
        <p role="alert" className={classes.error}>
          {t(`voices.${trouble}`, { least: LEAST_S, most: MOST_S })}
        </p>
      )}
    </div>
  );
}

function Recorder({ done }: { done: (sound: Blob) => void }) {
  const { t } = useTranslation("admin");
  const { t: say } = useTranslation();
  const seconds = useSeconds();
  const recorder = useRecorder(done);
  const level = useRef(recorder.level);
  level.current = recorder.level;
  const [read] = useState(() => () => level.current());
  const meter = useLevel<HTMLDivElement>(read, 1);
  const isRecording = recorder.state === "recording";
  return (
    <div className={classes.recorder}>
      <Button
        variant={isRecording ? "filled" : "light"}
        color={isRecording ? "clay" : undefined}
        loading={recorder.state === "asking"}
        leftSection={
          isRecording ? <Square size={14} fill="currentColor" aria-hidden /> : <Mic size={17} aria-hidden />
        }
        onClick={() => (isRecording ? recorder.stop() : void recorder.start())}
      >
        {t(isRecording ? "voices.stop" : "voices.record")}
      </Button>
      {isRecording && (
        <span className={classes.elapsed} role="timer">
          {seconds(recorder.seconds)}
        </span>
      )}
      <div ref={meter} className={classes.meter} data-on={isRecording || undefined} aria-hidden />
      <p className={parts.hint}>{t("voices.read", { least: LEAST_S, most: MOST_S })}</p>
      {recorder.trouble && (
        <p role="alert" className={classes.error}>
          {say(`notice.${recorder.trouble}`)}
        </p>
      )}
    </div>
  );
}

function useSeconds(): (seconds: number) => string {
  const { i18n } = useTranslation();
  const style = {
    style: "unit",
    unit: "second",
    minimumFractionDigits: 1,
    maximumFractionDigits: 1,
  } as const;
  return (seconds) => new Intl.NumberFormat(i18n.language, style).format(seconds);
}
