import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { call } from "../api/http";
import type { AvatarPublic, DocumentPublic, VoicePublic } from "../wire/generated";
import type { Base, EngineOverview, LiveSession, ModelState, Student, Tutor } from "./models";

const LOOK_MS = 5_000; // what changes by itself is looked at so often while its page is open

export const TUTORS = queryOptions({
  queryKey: ["admin", "tutors"],
  queryFn: () => call<Tutor[]>("GET", "/api/admin/tutors"),
});

export const tutorQuery = (id: string) =>
  queryOptions({
    queryKey: ["admin", "tutors", id],
    queryFn: () => call<Tutor>("GET", `/api/admin/tutors/${encodeURIComponent(id)}`),
    staleTime: 0, // another page may have changed it
  });

export const STUDENTS = queryOptions({
  queryKey: ["admin", "students"],
  queryFn: () => call<Student[]>("GET", "/api/admin/students"),
});

export const FACES = queryOptions({
  queryKey: ["admin", "faces"],
  queryFn: () => call<AvatarPublic[]>("GET", "/api/admin/faces"),
});

export const BASES = queryOptions({
  queryKey: ["admin", "bases"],
  queryFn: () => call<Base[]>("GET", "/api/admin/knowledge"),
});

export const basePath = (kbId: string) => `/api/admin/knowledge/${encodeURIComponent(kbId)}`;

export const documentsQuery = (kbId: string) =>
  queryOptions({
    queryKey: ["admin", "documents", kbId],
    queryFn: () => call<DocumentPublic[]>("GET", `${basePath(kbId)}/documents`),
  });

export const VOICES = queryOptions({
  queryKey: ["admin", "voices"],
  queryFn: () => call<VoicePublic[]>("GET", "/api/admin/voices"),
});

export const MODELS = queryOptions({
  queryKey: ["admin", "models"],
  queryFn: () => call<ModelState[]>("GET", "/api/admin/models"),
});

export const LIVE = queryOptions({
  queryKey: ["admin", "live"],
  queryFn: () => call<LiveSession[]>("GET", "/api/admin/sessions"),
  refetchInterval: LOOK_MS,
  staleTime: 0,
});

export const ENGINE = queryOptions({
  queryKey: ["admin", "engine"],
  queryFn: () => call<EngineOverview>("GET", "/api/admin/engine"),
  refetchInterval: LOOK_MS,
  staleTime: 0,
});

/** A change, after which what stands under these keys is asked for anew. */
export function useChange<In, Out>(
  change: (given: In) => Promise<Out>,
  keys: readonly (readonly string[])[],
  after?: (told: Out) => void,
) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: change,
    onSuccess: async (told) => {
      await Promise.all(keys.map((queryKey) => queries.invalidateQueries({ queryKey })));
      after?.(told);
    },
  });
}
