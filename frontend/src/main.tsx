import "./theme/mantine";
import "./theme/tokens.css";
import { MantineProvider } from "@mantine/core";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { BrowserRouter } from "react-router";
import { App } from "./App";
import { Refusal } from "./api/http";
import { startWords } from "./i18n";
import { theme } from "./theme/theme";

startWords();

/** Another try helps when the network or the server was away, not when the question was wrong. */
function isWorthAnotherTry(failures: number, error: Error): boolean {
  const passing = error instanceof Refusal && (error.status === 0 || error.status >= 500);
  return passing && failures < 2;
}

const queries = new QueryClient({
  defaultOptions: { queries: { retry: isWorthAnotherTry, staleTime: 30_000 } },
});

const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <MantineProvider theme={theme} defaultColorScheme="auto">
        <QueryClientProvider client={queries}>
          <BrowserRouter>
            <App />
          </BrowserRouter>
        </QueryClientProvider>
      </MantineProvider>
    </StrictMode>,
  );
}
