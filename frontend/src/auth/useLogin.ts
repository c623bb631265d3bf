import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useSyncExternalStore } from "react";
import { call } from "../api/http";
import type { Login, User } from "../api/models";
import { tokens } from "./tokens";

export const ME = ["me"];

/** Whether somebody is logged in. */
export function useIsLoggedIn(): boolean {
  return useSyncExternalStore(tokens.subscribe, tokens.current) !== null;
}

/** Renews the login for as long as the page is open. */
export function useFreshLogin(): void {
  useEffect(
    () =>
      tokens.keepFresh(async () => {
        const login = await call<Login>("POST", "/api/auth/refresh");
        tokens.keep(login.access_token, login.expires_in);
      }),
    [],
  );
}

/** The person who is logged in. */
export function useUser() {
  const isLoggedIn = useIsLoggedIn();
  return useQuery({
    queryKey: ME,
    queryFn: () => call<User>("GET", "/api/me"),
    enabled: isLoggedIn,
    staleTime: Number.POSITIVE_INFINITY,
  });
}

export function useLogin() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (credentials: { email: string; password: string }) =>
      call<Login>("POST", "/api/auth/login", credentials),
    onSuccess: (login) => {
      queries.clear(); // what another person has seen here
      queries.setQueryData(ME, login.user);
      tokens.keep(login.access_token, login.expires_in);
    },
  });
}

export function useLogout(): () => void {
  const queries = useQueryClient();
  return () => {
    tokens.forget();
    queries.clear();
  };
}

/** Keeps the language that this person has chosen. */
export function useKeepLanguage() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (language: "zh" | "en") => call<User>("PATCH", "/api/me", { language }),
    onSuccess: (user) => queries.setQueryData(ME, user),
  });
}
