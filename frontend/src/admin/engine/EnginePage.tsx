import { Alert, Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { ExternalLink } from "lucide-react";
import { useTranslation } from "react-i18next";
import type { EngineHealth, Health } from "../../wire/generated";
import type { EngineOverview } from "../models";
import { Bar } from "../parts/Bar";
import { Head } from "../parts/Head";
import { Loaded } from "../parts/Loaded";
import parts from "../parts/Parts.module.css";
import { State, type Tone } from "../parts/State";
import { ENGINE } from "../queries";
import { useStageName } from "./useStageName";

const TONES: Record<EngineHealth["state"], Tone> = {
  ready: "good",
  degraded: "wait",
  starting: "wait",
  unavailable: "bad",
};

/** How the engine is, looked at every few seconds. */
export function EnginePage() {
  const { t } = useTranslation("admin");
  const engine = useQuery(ENGINE);
  return (
    <>
      <Head title={t("engine.title")} hint={t("engine.hint")}>
        {engine.data && <Dashboard url={engine.data.dashboard_url} />}
      </Head>
      <Loaded query={engine}>{(seen) => <Seen seen={seen} />}</Loaded>
    </>
  );
}

function Dashboard({ url }: { url: string }) {
  const { t } = useTranslation("admin");
  const icon = <ExternalLink size={16} aria-hidden />;
  return (
    <Button component="a" href={url} target="_blank" rel="noreferrer" variant="light" rightSection={icon}>
      {t("engine.dashboard")}
    </Button>
  );
}

function Seen({ seen: { gpu_server: health, enabled } }: { seen: EngineOverview }) {
  const { t } = useTranslation("admin");
  if ("engines" in health) return <Stages health={health} />;
  return (
    <Alert color="clay" variant="light" role="alert" title={t(enabled ? "engine.away" : "engine.off")}>
      {"error" in health && health.error}
    </Alert>
  );
}

function Stages({ health }: { health: Health }) {
  const { t } = useTranslation("admin");
  const { active, max } = health.sessions;
  return (
    <>
      <section className={parts.sheet}>
        <h2>{t("engine.sessions")}</h2>
        <div>{t("engine.places", { active, max })}</div>
        <Bar part={max ? active / max : 0} label={t("engine.sessions")} />
      </section>
      {Object.values(health.engines).some(({ reason, remedy }) => reason || remedy) && <English />}
      <ul className={parts.rows} aria-label={t("engine.stages")}>
        {Object.entries(health.engines).map(([stage, state]) => (
          <li key={stage}>
            <Stage stage={stage} health={state} />
          </li>
        ))}
      </ul>
      <p className={parts.hint}>{t("engine.version", { version: health.version })}</p>
    </>
  );
}

/** To readers of another language: the engine says of itself in English how it is. */
function English() {
  const { t, i18n } = useTranslation();
  return i18n.language === "en" ? null : <p className={parts.hint}>{t("quoted.engine")}</p>;
}

function Stage({ stage, health }: { stage: string; health: EngineHealth }) {
  const { t } = useTranslation("admin");
  const nameOf = useStageName();
  return (
    <>
      <div className={parts.row}>
        <span>
          <span className={parts.who}>{nameOf(stage)}</span>
          <span className={parts.facts}>{health.engine}</span>
        </span>
        <State tone={TONES[health.state]}>{t(`state.${health.state}`)}</State>
      </div>
      {health.reason && <p className={parts.hint}>{health.reason}</p>}
      {health.remedy && (
        <p className={parts.hint}>
          <strong>{t("engine.remedy")}</strong> <Quoted text={health.remedy} />
        </p>
      )}
    </>
  );
}

/** The engine's sentences put commands and settings into backticks. */
function Quoted({ text }: { text: string }) {
  const pieces = text.split("`").map((piece, place) => ({ piece, isCode: place % 2 === 1, place }));
  return pieces.map(({ piece, isCode, place }) => (isCode ? <code key={place}>{piece}</code> : piece));
}
