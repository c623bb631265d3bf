/** The book and the sun. */
export function Mark({ size = 34 }: { size?: number }) {
  return <img src="/favicon.svg" width={size} height={size} alt="" />;
}
