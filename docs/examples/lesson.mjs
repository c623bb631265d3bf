// One question to a tutor through the web server, and the answer as it is made.
//
//     node lesson.mjs http://127.0.0.1:8000 student@example.com student123 "Why does it rain?"
//
// Needs nothing but Node 22 (Node 20 with --experimental-websocket). `lesson` runs in a browser as it is.
// Prints the words as they are written and what of the course they stand on.

export async function lesson(server, email, password, question, tell) {
  const login = await call(server, "POST", "/api/auth/login", { email, password });
  const token = login.access_token;
  const [tutor] = await call(server, "GET", "/api/student/tutors", undefined, token);
  tell(`${tutor.name} is listening.\n`);
  const wish = { tutor_id: tutor.id };
  const session = await call(server, "POST", "/api/student/sessions", wish, token);
  try {
    await ask(server, login, session.session_id, question, tell);
  } finally {
    await call(server, "DELETE", `/api/student/sessions/${session.session_id}`, undefined, token);
  }
}

async function call(server, method, path, body, token) {
  const headers = { "Content-Type": "application/json" };
  if (token) headers.Authorization = `Bearer ${token}`;
  const answer = await fetch(server + path, { method, headers, body: JSON.stringify(body) });
  const told = await answer.json();
  if (!answer.ok) throw new Error(told.detail); // one sentence that says what to do
  return told;
}

function ask(server, login, sessionId, question, tell) {
  const url = `${server.replace("http", "ws")}/api/ws/proxy/user/${login.user.id}`;
  // The login goes as a subprotocol, so that it stands in no log.
  const socket = new WebSocket(url, ["bearer", login.access_token]);
  const send = (message) => socket.send(JSON.stringify(message));
  return new Promise((answered, failed) => {
    socket.onopen = () => {
      send({ type: "hello", features: ["deltas", "sources"] });
      send({ type: "text", content: question, engine_session_id: sessionId });
    };
    socket.onmessage = ({ data }) => {
      const event = JSON.parse(data);
      if (event.type === "text_delta") tell(event.content);
      if (event.type === "sources")
        for (const { document, quote } of event.items) tell(`\n  ${document}: “${quote}”`);
      if (event.type === "error") tell(`\n${event.code}: ${event.content}\n`);
      if (event.type === "text") {
        tell("\n"); // `event.audio` holds the voice: a WAV file in base64
        socket.close();
        answered(event);
      }
    };
    socket.onclose = ({ code, reason }) => failed(new Error(`closed: ${code} ${reason}`));
    socket.onerror = () => failed(new Error(`${url} cannot be reached`));
  });
}

if (globalThis.process?.argv[1]?.endsWith("lesson.mjs")) {
  const given = process.argv.slice(2);
  if (given.length !== 4) {
    console.error("node lesson.mjs SERVER EMAIL PASSWORD QUESTION");
    process.exit(2);
  }
  await lesson(...given, (words) => process.stdout.write(words));
}
