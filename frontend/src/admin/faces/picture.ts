import type { AvatarPublic } from "../../wire/generated";

/** A face as `TutorPicture` shows it. */
export function pictured({ name, kind }: Pick<AvatarPublic, "name" | "kind">) {
  const extension = kind === "drawn" ? "svg" : "webp";
  return { name, picture_url: `/api/faces/${encodeURIComponent(name)}.${extension}` };
}
