import { useTranslation } from "react-i18next";
import { Refusal } from "../../api/http";
import { useBytes } from "./useBytes";

const LIMIT_BYTES = 100_000_000; // the engine's, for documents and faces

/** Why a file would be refused after a long while on its way; null for one that is small enough. */
export function useTooLarge(): (file: File) => Refusal | null {
  const { t } = useTranslation("admin");
  const size = useBytes();
  return (file) => {
    if (file.size <= LIMIT_BYTES) return null;
    return new Refusal(413, t("upload.tooLarge", { size: size(file.size), limit: size(LIMIT_BYTES) }));
  };
}
