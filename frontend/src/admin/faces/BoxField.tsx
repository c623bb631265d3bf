import { NumberInput } from "@mantine/core";
import { type PointerEvent, type ReactNode, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import classes from "./Faces.module.css";

/** Left, top, right and bottom, as parts of the picture's width and height. */
export type Box = readonly [number, number, number, number];

export const USUAL_BOX: Box = [0.34, 0.33, 0.66, 0.69];

const LEAST = 0.05; // a smaller one was a slip of the hand
const SIDES = ["left", "top", "right", "bottom"] as const;

/** As the engine wants it. */
export function textOf(box: Box): string {
  return box.map((part) => part.toFixed(3)).join(",");
}

/** The box around two opposite corners; null when it is too small. */
export function boxAround([x1, y1]: Point, [x2, y2]: Point): Box | null {
  const box = [Math.min(x1, x2), Math.min(y1, y2), Math.max(x1, x2), Math.max(y1, y2)] as const;
  return box[2] - box[0] < LEAST || box[3] - box[1] < LEAST ? null : box;
}

type Point = readonly [number, number];

/** A picture on which a box can be drawn, once there is one; or set by its numbers. */
export function BoxField({
  box,
  change,
  children,
}: {
  box: Box | null;
  change: (box: Box) => void;
  children: ReactNode;
}) {
  const { t } = useTranslation("admin");
  const frame = useRef<HTMLDivElement>(null);
  const [start, setStart] = useState<Point | null>(null);
  const at = ({ clientX, clientY }: PointerEvent): Point => {
    const rect = frame.current?.getBoundingClientRect();
    if (!rect) return [0, 0];
    return [within((clientX - rect.left) / rect.width), within((clientY - rect.top) / rect.height)];
  };
  const begin = (event: PointerEvent) => {
    if (!box) return;
    event.currentTarget.setPointerCapture(event.pointerId);
    setStart(at(event));
  };
  const draw = (event: PointerEvent) => {
    const drawn = start && boxAround(start, at(event));
    if (drawn) change(drawn);
  };
  return (
    <div>
      <div className={classes.frame} data-drawing={box ? true : undefined}>
        <div
          ref={frame}
          onPointerDown={begin}
          onPointerMove={draw}
          onPointerUp={() => setStart(null)}
          onPointerCancel={() => setStart(null)}
        >
          {children}
          {box && <span className={classes.box} style={placed(box)} />}
        </div>
      </div>
      {box && (
        <fieldset className={classes.sides}>
          <legend>{t("faces.boxLegend")}</legend>
          {SIDES.map((side, place) => (
            <NumberInput
              key={side}
              label={t(`side.${side}`)}
              suffix=" %"
              min={0}
              max={100}
              step={1}
              decimalScale={1}
              value={Math.round((box[place] ?? 0) * 1000) / 10}
              onChange={(value) => change(moved(box, place, Number(value) / 100))}
            />
          ))}
        </fieldset>
      )}
    </div>
  );
}

function within(part: number): number {
  return Math.min(Math.max(part, 0), 1);
}

/** One side elsewhere, and not beyond the opposite one. */
export function moved(box: Box, place: number, to: number): Box {
  const [left, top, right, bottom] = box;
  const limits: Point[] = [
    [0, right - LEAST],
    [0, bottom - LEAST],
    [left + LEAST, 1],
    [top + LEAST, 1],
  ];
  const [least, most] = limits[place] ?? [0, 1];
  const side = Math.min(Math.max(to, least), most);
  return box.map((old, index) => (index === place ? side : old)) as unknown as Box;
}

function placed([left, top, right, bottom]: Box) {
  const percent = (part: number) => `${part * 100}%`;
  return {
    left: percent(left),
    top: percent(top),
    width: percent(right - left),
    height: percent(bottom - top),
  };
}
