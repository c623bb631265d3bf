import { createTheme, type MantineColorsTuple } from "@mantine/core";

// Chalkboard green, and the ink and chalk around it; see tokens.css for what they are used for.
const board: MantineColorsTuple = [
  "#eef6f2",
  "#dcebe4",
  "#b8d8cb",
  "#90c3b0",
  "#6bae97",
  "#4b947c",
  "#397a66",
  "#2f6353",
  "#264f43",
  "#1b3a31",
];
const clay: MantineColorsTuple = [
  "#fdf1ec",
  "#f8ded4",
  "#f0b9a5",
  "#e79275",
  "#df724e",
  "#cf5a36",
  "#b54a2a",
  "#963d23",
  "#77311d",
  "#562415",
];
// Warm, as paper is.
const gray: MantineColorsTuple = [
  "#faf6ee",
  "#f1ebdf",
  "#e7dfd0",
  "#d9d0bf",
  "#c4baa8",
  "#8b8375",
  "#6f685d",
  "#57514a",
  "#3d3934",
  "#2a2723",
];
const dark: MantineColorsTuple = [
  "#ece8dd",
  "#cfd0c6",
  "#a8aea5",
  "#7f8a81",
  "#45514b",
  "#36423c",
  "#2a342f",
  "#1f2824",
  "#19211d",
  "#121815",
];

export const theme = createTheme({
  colors: { board, clay, dark, gray },
  primaryColor: "board",
  primaryShade: { light: 7, dark: 6 }, // both carry white letters
  autoContrast: true,
  black: "#2a2a33",
  defaultRadius: "md",
  cursorType: "pointer",
  respectReducedMotion: true,
  fontFamily: "var(--body-font)",
  headings: { fontFamily: "var(--title-font)", fontWeight: "600" },
  focusRing: "auto",
});
