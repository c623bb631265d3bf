import { useTranslation } from "react-i18next";

const UNITS = [
  [1_000_000, "megabyte"],
  [1_000, "kilobyte"],
  [1, "byte"],
] as const;

/** A number of bytes as people write it. */
export function useBytes(): (bytes: number) => string {
  const { i18n } = useTranslation();
  return (bytes) => {
    const [size, unit] = UNITS.find(([least]) => bytes >= least) ?? UNITS[2];
    const value = bytes / size;
    const style = { style: "unit", unit, maximumFractionDigits: value < 10 ? 1 : 0 } as const;
    return new Intl.NumberFormat(i18n.language, style).format(value);
  };
}
