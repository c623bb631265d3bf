import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { AudioLines, Mic } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import type { VoicePublic } from "../../wire/generated";
import { Head } from "../parts/Head";
import { Loaded } from "../parts/Loaded";
import parts from "../parts/Parts.module.css";
import { VOICES } from "../queries";
import { BuiltIn } from "./BuiltIn";
import { Cloned } from "./Cloned";
import { NeedsCoqui } from "./NeedsCoqui";
import { VoiceDialog } from "./VoiceDialog";
import classes from "./Voices.module.css";

export function VoicesPage() {
  const { t } = useTranslation("admin");
  const [isAdding, setIsAdding] = useState(false);
  const voices = useQuery({ ...VOICES, staleTime: 0 });
  return (
    <>
      <Head title={t("voices.title")} hint={t("voices.hint")}>
        <Button leftSection={<Mic size={18} aria-hidden />} onClick={() => setIsAdding(true)}>
          {t("voices.add")}
        </Button>
      </Head>
      <Loaded query={voices}>{(known) => <Voices voices={known} />}</Loaded>
      {isAdding && <VoiceDialog voices={voices.data ?? []} close={() => setIsAdding(false)} />}
    </>
  );
}

function Voices({ voices }: { voices: VoicePublic[] }) {
  const cloned = voices.filter(({ kind }) => kind === "cloned");
  const builtIn = voices.filter(({ kind }) => kind === "built-in");
  return (
    <>
      {cloned.length > 0 && <NeedsCoqui voices={voices} />}
      {cloned.length > 0 ? <Cloned voices={cloned} /> : <None />}
      {builtIn.length > 0 && <BuiltIn voices={builtIn} />}
    </>
  );
}

function None() {
  const { t } = useTranslation("admin");
  return (
    <div className={classes.none}>
      <AudioLines size={30} aria-hidden />
      <div>
        <h2>{t("voices.empty")}</h2>
        <p className={parts.hint}>{t("voices.emptyHint")}</p>
      </div>
    </div>
  );
}
