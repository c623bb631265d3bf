import { Button, UnstyledButton } from "@mantine/core";
import { Play, RotateCw, Volume2 } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import type { TutorCard } from "../api/models";
import { TutorPicture } from "../parts/TutorPicture";
import type { Classroom } from "./classroom";
import classes from "./Stage.module.css";
import { useLevel } from "./useLevel";
import { activityOf, type View } from "./view";

interface Here {
  tutor: TutorCard;
  classroom: Classroom;
  view: View;
}

/** The tutor: live, or a still picture while there is no live one. */
export function Stage({ tutor, classroom, view }: Here) {
  const { t } = useTranslation();
  const glow = useLevel<HTMLDivElement>(classroom.voiceLevel);
  const isLive = view.link === "live";
  return (
    <div className={classes.stage} ref={glow} data-activity={activityOf(view)}>
      <div className={classes.window}>
        <div className={classes.still} aria-hidden={isLive}>
          <TutorPicture tutor={tutor} alt={t("lesson.still", { name: tutor.name })} />
        </div>
        <LivePicture
          stream={classroom.stream}
          shown={isLive}
          label={t("lesson.face", { name: tutor.name })}
        />
        {view.link === "off" ? (
          <Start tutor={tutor} start={classroom.start} />
        ) : (
          <State classroom={classroom} view={view} />
        )}
      </div>
    </div>
  );
}

function LivePicture({
  stream,
  shown,
  label,
}: {
  stream: MediaStream | null;
  shown: boolean;
  label: string;
}) {
  const { t } = useTranslation();
  const video = useRef<HTMLVideoElement>(null);
  const [isMute, setIsMute] = useState(false);
  useEffect(() => {
    const player = video.current;
    if (!player || player.srcObject === stream) return;
    player.srcObject = stream;
    if (stream)
      player.play().then(
        () => setIsMute(false),
        (error: DOMException) => setIsMute(error.name === "NotAllowedError"),
      );
  }, [stream]);
  const sound = () => void video.current?.play().then(() => setIsMute(false));
  return (
    <>
      {/* biome-ignore lint/a11y/useMediaCaption: what is said live is on the board below */}
      <video
        ref={video}
        className={classes.video}
        data-shown={shown || undefined}
        playsInline
        autoPlay
        aria-label={label}
        aria-hidden={!shown}
      />
      {shown && isMute && (
        <Button className={classes.sound} onClick={sound} leftSection={<Volume2 size={18} aria-hidden />}>
          {t("lesson.sound")}
        </Button>
      )}
    </>
  );
}

function Start({ tutor, start }: { tutor: TutorCard; start: () => Promise<void> }) {
  const { t } = useTranslation();
  return (
    <div className={classes.veil}>
      <p>{t("lesson.startHint", { name: tutor.name })}</p>
      <Button size="lg" onClick={() => void start()} leftSection={<Play size={20} aria-hidden />}>
        {t("lesson.start")}
      </Button>
    </div>
  );
}

/** How the connection is and what the tutor does, in words. */
function State({ classroom, view }: Omit<Here, "tutor">) {
  const { t } = useTranslation();
  const { link } = view;
  const isUp = link === "live" || link === "socket";
  return (
    <div className={classes.state}>
      <p className={classes.chip} data-link={link} role="status">
        <i aria-hidden />
        {isUp && <span>{t(`activity.${activityOf(view)}`)}</span>}
        <span className={isUp ? classes.beside : undefined}>{t(`link.${link}`)}</span>
      </p>
      {link === "socket" && (
        <UnstyledButton
          className={classes.again}
          onClick={classroom.reconnect}
          aria-label={t("link.again")}
          title={t("link.again")}
        >
          <RotateCw size={18} aria-hidden />
        </UnstyledButton>
      )}
    </div>
  );
}
