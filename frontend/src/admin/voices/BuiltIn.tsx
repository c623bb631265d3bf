import { Button, Select, TextInput } from "@mantine/core";
import { Search } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useLanguageName } from "../../parts/useLanguageName";
import type { VoicePublic } from "../../wire/generated";
import parts from "../parts/Parts.module.css";
import { enginesOf, languagesOf, wanted } from "./choice";
import { ListenButton, ListenTrouble } from "./Listen";
import { samplePath } from "./sample";
import classes from "./Voices.module.css";

const FEW = 12; // of each engine, until all are asked for

/** The voices that the engine brings along: there may be hundreds. */
export function BuiltIn({ voices }: { voices: VoicePublic[] }) {
  const { t } = useTranslation("admin");
  const [words, setWords] = useState("");
  const [language, setLanguage] = useState<string | null>(null);
  const shown = wanted(voices, words, language);
  return (
    <section className={parts.sheet}>
      <h2>{t("voices.builtIn")}</h2>
      {voices.length > FEW && (
        <div className={classes.filters}>
          <TextInput
            type="search"
            name="search"
            aria-label={t("voices.search")}
            placeholder={t("voices.search")}
            leftSection={<Search size={16} aria-hidden />}
            value={words}
            onChange={(event) => setWords(event.currentTarget.value)}
          />
          <LanguageFilter voices={voices} language={language} change={setLanguage} />
        </div>
      )}
      {shown.length === 0 && <p role="status">{t("voices.noneFound")}</p>}
      {enginesOf(shown).map(([engine, own]) => (
        <Engine key={engine} engine={engine} voices={own} isSearched={words !== ""} />
      ))}
    </section>
  );
}

function LanguageFilter({
  voices,
  language,
  change,
}: {
  voices: VoicePublic[];
  language: string | null;
  change: (language: string | null) => void;
}) {
  const { t } = useTranslation("admin");
  const nameOf = useLanguageName();
  const languages = languagesOf(voices);
  if (!languages.length) return null;
  return (
    <Select
      aria-label={t("voices.spoken")}
      placeholder={t("voices.spoken")}
      name="spoken"
      data={languages.map((code) => ({ value: code, label: nameOf(code) }))}
      clearable
      clearButtonProps={{ "aria-label": t("voices.anyLanguage") }}
      value={language}
      onChange={change}
    />
  );
}

function Engine({
  engine,
  voices,
  isSearched,
}: {
  engine: string;
  voices: VoicePublic[];
  isSearched: boolean;
}) {
  const { t } = useTranslation("admin");
  const [isOpen, setIsOpen] = useState(false);
  const areAll = isOpen || isSearched || voices.length <= FEW;
  return (
    <>
      <h3 className={classes.engine}>{engine}</h3>
      <ul className={classes.voices} aria-label={engine}>
        {(areAll ? voices : voices.slice(0, FEW)).map((voice) => (
          <li key={voice.name}>
            <Voice voice={voice} />
          </li>
        ))}
      </ul>
      {!areAll && (
        <Button variant="default" size="sm" onClick={() => setIsOpen(true)}>
          {t("voices.all", { count: voices.length })}
        </Button>
      )}
    </>
  );
}

function Voice({ voice: { name, language } }: { voice: VoicePublic }) {
  const { i18n } = useTranslation();
  const nameOf = useLanguageName();
  const path = samplePath(name, { language: language ?? i18n.language });
  return (
    <>
      <div className={parts.row}>
        <span>
          <span className={classes.name}>{name}</span>
          {language && <span className={parts.facts}>{nameOf(language)}</span>}
        </span>
        <ListenButton path={path} name={name} />
      </div>
      <ListenTrouble path={path} />
    </>
  );
}
