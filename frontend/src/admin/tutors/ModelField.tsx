import { TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { MODELS } from "../queries";

/** The name of a language model, free to be written: the engine finds it, or says what is missing. */
export function ModelField({
  model,
  change,
}: {
  model: string | null;
  change: (model: string | null) => void;
}) {
  const { t } = useTranslation("admin");
  const models = useQuery(MODELS);
  const usual = models.data?.find(({ name }) => name === "llm");
  const hint = usual?.reason ? t("tutors.modelState", { reason: usual.reason }) : t("tutors.modelHint");
  return (
    <TextInput
      label={t("tutors.model")}
      description={hint}
      name="model"
      placeholder={t("tutors.usualModel")}
      maxLength={200}
      autoComplete="off"
      spellCheck={false}
      value={model ?? ""}
      onChange={(event) => change(event.currentTarget.value || null)}
    />
  );
}
