import { Menu, Popover, Tooltip, UnstyledButton, VisuallyHidden } from "@mantine/core";
import { ChevronDown, Hand, Mic, MicOff, Square, Timer } from "lucide-react";
import { type KeyboardEvent, type PointerEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import classes from "./Controls.module.css";
import type { Classroom } from "./classroom";
import { useLevel } from "./useLevel";
import { useMicrophones } from "./useMicrophones";
import { isAnswering, type View } from "./view";

interface Here {
  classroom: Classroom;
  view: View;
}

/** Speak, be silent, interrupt. */
export function Controls({ classroom, view }: Here) {
  const { t } = useTranslation();
  return (
    <div className={classes.controls}>
      <div className={classes.side}>
        <OpenMicrophone classroom={classroom} view={view} />
        <Devices classroom={classroom} />
      </div>
      <HoldToTalk classroom={classroom} view={view} />
      <div className={classes.side}>
        <Tooltip label={t("input.stop")} openDelay={400}>
          <UnstyledButton
            className={classes.stop}
            disabled={!isAnswering(view)}
            onClick={classroom.interrupt}
            aria-label={t("input.stop")}
          >
            <Square size={18} fill="currentColor" aria-hidden />
          </UnstyledButton>
        </Tooltip>
        <Speed view={view} />
      </div>
    </div>
  );
}

function OpenMicrophone({ classroom, view }: Here) {
  const { t } = useTranslation();
  const meter = useLevel<HTMLButtonElement>(classroom.microphoneLevel, 1);
  const isOpen = view.listening !== "closed";
  const words = isOpen ? t("input.close") : t("input.open");
  return (
    <Tooltip label={words} openDelay={400}>
      <UnstyledButton
        ref={meter}
        className={classes.microphone}
        disabled={view.link === "off"}
        data-open={isOpen || undefined}
        aria-pressed={isOpen}
        aria-label={words}
        onClick={() => void classroom.listen(isOpen ? "closed" : "open")}
      >
        <span className={classes.meter} aria-hidden />
        {isOpen ? <Mic size={22} aria-hidden /> : <MicOff size={22} aria-hidden />}
      </UnstyledButton>
    </Tooltip>
  );
}

function HoldToTalk({ classroom, view }: Here) {
  const { t } = useTranslation();
  const isHeld = view.listening === "held";
  const press = (event: PointerEvent<HTMLButtonElement>) => {
    if (event.button !== 0) return;
    event.currentTarget.setPointerCapture(event.pointerId); // the finger may slip off
    void classroom.hold();
  };
  const key = (event: KeyboardEvent) => {
    if (event.key !== " " && event.key !== "Enter") return;
    event.preventDefault();
    if (event.type === "keydown" && !event.repeat) void classroom.hold();
    if (event.type === "keyup") void classroom.letGo();
  };
  const letGo = () => void classroom.letGo();
  return (
    <UnstyledButton
      className={classes.hold}
      disabled={view.link === "off"}
      data-held={isHeld || undefined}
      onPointerDown={press}
      onPointerUp={letGo}
      onPointerCancel={letGo}
      onContextMenu={(event) => event.preventDefault()}
      onKeyDown={key}
      onKeyUp={key}
      onBlur={letGo}
    >
      <Hand size={20} aria-hidden />
      <span>{isHeld ? t("input.holding") : t("input.hold")}</span>
      {!isHeld && <kbd className={classes.key}>{t("input.key")}</kbd>}
    </UnstyledButton>
  );
}

function Devices({ classroom }: Pick<Here, "classroom">) {
  const { t } = useTranslation();
  const [chosen, setChosen] = useState("");
  const [isOpen, setIsOpen] = useState(false);
  const microphones = useMicrophones(isOpen);
  const choose = (deviceId: string) => {
    setChosen(deviceId);
    void classroom.choose(deviceId);
  };
  return (
    <Menu position="top-start" opened={isOpen} onChange={setIsOpen} radius="lg" shadow="md">
      <Menu.Target>
        <UnstyledButton className={classes.small} aria-label={t("input.devices")}>
          <ChevronDown size={18} aria-hidden />
        </UnstyledButton>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>{t("input.device")}</Menu.Label>
        <Device label={t("input.deviceDefault")} isChosen={!chosen} choose={() => choose("")} />
        {microphones.map(({ deviceId, label }, index) => (
          <Device
            key={deviceId}
            label={label || t("input.deviceUnnamed", { number: index + 1 })}
            isChosen={chosen === deviceId}
            choose={() => choose(deviceId)}
          />
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}

function Device({ label, isChosen, choose }: { label: string; isChosen: boolean; choose: () => void }) {
  return (
    <Menu.Item onClick={choose} role="menuitemradio" aria-checked={isChosen} className={classes.device}>
      {label}
    </Menu.Item>
  );
}

/** How fast the last answer was. */
function Speed({ view: { metrics, latencyMs } }: Pick<Here, "view">) {
  const { t } = useTranslation();
  if (latencyMs === null && !metrics) return <span className={classes.speed} />;
  const rows = [
    [t("lesson.stageHear"), metrics?.asr_ms],
    [t("lesson.stageThink"), metrics?.llm_first_token_ms],
    [t("lesson.stageSpeak"), metrics?.tts_first_audio_ms],
    [t("lesson.stageShow"), metrics?.first_frame_ms],
    [t("lesson.stageTotal"), metrics?.total_ms],
  ] as const;
  return (
    <Popover position="top-end" radius="lg" shadow="md" withRoles>
      <Popover.Target>
        <UnstyledButton className={classes.speed}>
          <VisuallyHidden>{t("lesson.speed")}</VisuallyHidden>
          <Timer size={18} aria-hidden />
          {latencyMs !== null && (
            <span className={classes.seconds}>
              {t("lesson.seconds", { seconds: (latencyMs / 1000).toFixed(1) })}
            </span>
          )}
        </UnstyledButton>
      </Popover.Target>
      <Popover.Dropdown>
        {latencyMs !== null && (
          <p className={classes.latency}>
            {t("lesson.latency", { seconds: (latencyMs / 1000).toFixed(1) })}
            <small>{t("lesson.latencyLong")}</small>
          </p>
        )}
        <dl className={classes.stages}>
          {rows.map(([name, ms]) =>
            ms === undefined ? null : (
              <div key={name}>
                <dt>{name}</dt>
                <dd>{t("lesson.ms", { ms: Math.round(ms) })}</dd>
              </div>
            ),
          )}
        </dl>
      </Popover.Dropdown>
    </Popover>
  );
}
