import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { Refusal } from "../../api/http";
import { NothingHere } from "../../pages/NothingHere";
import { Loading } from "../../parts/Loading";
import { Trouble } from "../../parts/Trouble";
import { Refused } from "./Refused";

/** What has been asked for, once it is there; what is known already stays while the server is away. */
export function Loaded<T>({
  query,
  children,
}: {
  query: UseQueryResult<T>;
  children: (data: T) => ReactNode;
}) {
  const { error } = query;
  if (query.data === undefined) {
    if (!error) return <Loading />;
    const isNone = error instanceof Refusal && error.status === 404;
    return isNone ? <NothingHere /> : <Trouble error={error} retry={query.refetch} />;
  }
  return (
    <>
      <Refused error={error} />
      {children(query.data)}
    </>
  );
}
