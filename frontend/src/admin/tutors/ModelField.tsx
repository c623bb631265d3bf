import { Autocomplete } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { MODELS, TUTORS } from "../queries";

/** The name of a language model, free to be written: the engine finds it, or says what is missing.
 * Those of the other tutors are offered. */
export function ModelField({
  model,
  change,
}: {
  model: string | null;
  change: (model: string | null) => void;
}) {
  const { t } = useTranslation("admin");
  const models = useQuery(MODELS);
  const tutors = useQuery(TUTORS);
  const known = [...new Set((tutors.data ?? []).flatMap((tutor) => tutor.model ?? []))].sort();
  const usual = models.data?.find(({ name }) => name === "llm");
  const hint = usual?.reason ? t("tutors.modelState", { reason: usual.reason }) : t("tutors.modelHint");
  return (
    <Autocomplete
      label={t("tutors.model")}
      description={hint}
      name="model"
      placeholder={t("tutors.usualModel")}
      maxLength={200}
      autoComplete="off"
      spellCheck={false}
      value={model ?? ""}
      data={known}
      onChange={(name) => change(name || null)}
    />
  );
}
