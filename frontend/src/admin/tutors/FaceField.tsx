import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { TutorPicture } from "../../parts/TutorPicture";
import type { AvatarPublic } from "../../wire/generated";
import { pictured } from "../faces/picture";
import { Refused } from "../parts/Refused";
import { FACES } from "../queries";
import { kindOf } from "./kind";
import classes from "./Tutors.module.css";

type Shown = Pick<AvatarPublic, "name" | "kind">;

/** A face, chosen by its picture. */
export function FaceField({ face, change }: { face: string; change: (face: string) => void }) {
  const { t } = useTranslation("admin");
  const faces = useQuery(FACES);
  const ready: Shown[] = (faces.data ?? []).filter(({ state }) => state === "ready");
  const isListed = ready.some(({ name }) => name === face);
  const shown = isListed || !face ? ready : [{ name: face, kind: kindOf(face) }, ...ready];
  return (
    <div>
      <fieldset className={classes.faces}>
        <legend>{t("tutors.face")}</legend>
        {shown.map((one) => (
          <label key={one.name} className={classes.face}>
            <span>
              <TutorPicture tutor={pictured(one)} />
            </span>
            <input
              type="radio"
              name="face"
              className="unseen"
              value={one.name}
              checked={one.name === face}
              onChange={() => change(one.name)}
            />
            {one.name}
          </label>
        ))}
      </fieldset>
      <Refused error={faces.error} />
      <Link to="/admin/faces" className={classes.more}>
        {t("tutors.moreFaces")}
      </Link>
    </div>
  );
}
