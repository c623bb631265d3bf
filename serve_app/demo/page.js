// The page: shows a lesson, and takes the learner's hands and keys.

import { Lesson, SAMPLE, TUTORS } from "./lesson.js";
import { Notices } from "./notices.js";
import { Portrait } from "./portrait.js";
import { otherLanguage, translate, translateWithin, word } from "./words.js";

const CAPTION_MS = 2_500; // stays so long after the last word
const FACE_CHANGE_MS = 300; // the live picture of another face needs this to arrive
const METRICS = ["asr_ms", "llm_first_token_ms", "first_sentence_ms", "tts_first_audio_ms", "first_frame_ms", "total_ms"];

const $ = (id) => document.getElementById(id);
const options = new URLSearchParams(location.search);
const wishedTutor = Number(options.get("tutor"));
const lesson = new Lesson(TUTORS.has(wishedTutor) ? wishedTutor : 2, options.get("relay") === "1");
const notices = new Notices($("notices"));
const portrait = new Portrait($("portrait"), () => lesson.ear?.level ?? 0);
const video = $("video");
let captionTimer = 0;
let faceChangedMs = -Infinity;
let isStarting = false;

// ── showing ────────────────────────────────────────────────────────────────────────────────────────

function show() {
  const { state, link, listening, isStarted, conversation } = lesson;
  const tutor = TUTORS.get(lesson.tutorId);
  const { dataset } = document.body;
  Object.assign(dataset, { state: isStarted ? state : "idle", link, face: tutor.face, listening });
  $("status").textContent = word(isStarted ? state : "idle");
  $("link-text").textContent = word(`link_${link}`);
  $("link").disabled = link !== "socket";
  $("link").title = link === "socket" ? word("link_tip") : "";
  $("welcome").hidden = isStarted;
  $("greeting").textContent = word("greeting", { name: tutor.name });
  $("start").textContent = word(isStarting ? "starting" : "start");
  $("start").disabled = isStarting;
  for (const id of ["mic", "hold", "text", "send"]) $(id).disabled = !isStarted;
  $("stop").disabled = !isStarted || !lesson.isAnswering;
  $("mic").setAttribute("aria-pressed", String(listening === "open"));
  $("mic-text").textContent = $("mic").title = word(listening === "open" ? "mic_close" : "mic_open");
  $("hint").textContent = word(isStarted ? `hint_${listening}` : "hint_off");
  showLive();
  showLatency();
  showCourses();
  showConversation(conversation, tutor);
  void portrait.show(tutor.face);
}

function showLive() {
  if (!lesson.isStaged) faceChangedMs = performance.now();
  const arrived = performance.now() - faceChangedMs > FACE_CHANGE_MS;
  if (!arrived && lesson.isStaged) setTimeout(showLive, FACE_CHANGE_MS);
  const live = lesson.peer.isConnected && video.videoWidth > 2 && !video.paused && arrived;
  $("stage").classList.toggle("live", live);
  $("portrait").dataset.hidden = live ? "yes" : "no";
}

function showLatency() {
  const { latencyMs, metrics } = lesson;
  $("latency").hidden = latencyMs === null && metrics === null;
  $("latency-ms").textContent = latencyMs === null ? "– ms" : `${latencyMs.toLocaleString()} ms`;
  const rows = METRICS.filter((key) => typeof metrics?.[key] === "number").flatMap((key) => [
    text("dt", word(key)),
    text("dd", `${Math.round(metrics[key]).toLocaleString()} ms`),
  ]);
  const engines = Object.values(metrics?.engines ?? {}).join(" · ");
  $("metrics").replaceChildren(...rows, ...(engines ? [text("dd", engines)] : []));
}

function showCourses() {
  const { courses, engine } = lesson;
  const shows = JSON.stringify([word("no_course"), courses]);
  const choice = $("course");
  if (choice.dataset.shows !== shows) {
    choice.replaceChildren(new Option(word("no_course"), ""), ...courses.map((id) => new Option(id, id)));
    choice.dataset.shows = shows;
  }
  choice.value = engine.kbId ?? "";
  $("course-row").hidden = courses.length === 0;
}

function showConversation(conversation, tutor) {
  const logs = $("logs");
  const isEmpty = conversation.messages.length === 0;
  const shown = isEmpty ? empty(tutor) : conversation.node;
  if (!isEmpty && logs.firstElementChild === shown) return;
  if (isEmpty && logs.firstElementChild?.dataset.shows === shown.dataset.shows) return;
  logs.replaceChildren(shown);
  translateWithin(logs);
  logs.scrollTop = logs.scrollHeight;
}

/** What to say first. */
function empty(tutor) {
  const node = document.createElement("div");
  node.className = "empty";
  node.dataset.shows = `${tutor.face} ${document.documentElement.lang} ${lesson.isStarted} ${lesson.engine.kbId}`;
  node.append(text("p", word("empty", { name: tutor.name })));
  const kind = lesson.engine.kbId === SAMPLE ? "sample" : "example";
  for (const key of [1, 2, 3].map((number) => `${kind}_${number}`)) {
    const button = text("button", word(key));
    button.type = "button";
    button.disabled = !lesson.isStarted;
    button.onclick = () => lesson.say(word(key));
    node.append(button);
  }
  return node;
}

function text(name, content) {
  const node = document.createElement(name);
  node.textContent = content;
  return node;
}

function showTutors() {
  for (const [id, tutor] of TUTORS) {
    const label = document.createElement("label");
    const choice = document.createElement("input");
    Object.assign(choice, { type: "radio", name: "tutor", value: String(id), checked: id === lesson.tutorId });
    choice.onchange = () => choose(id);
    const face = new Image(40, 40);
    face.src = new URL(`${tutor.face}.svg`, import.meta.url);
    face.alt = "";
    label.append(choice, face, text("span", tutor.name));
    $("tutors").append(label);
  }
}

function choose(id) {
  for (const choice of document.querySelectorAll("[name=tutor]")) choice.checked = Number(choice.value) === id;
  return lesson.switchTutor(id);
}

function showCaption({ text: words, mine }) {
  const caption = $("caption");
  clearTimeout(captionTimer);
  caption.classList.toggle("mine", mine);
  if (words) caption.textContent = words;
  caption.classList.toggle("shown", Boolean(words));
}

/** The last caption goes when nothing has been said for a while. */
function fadeCaption() {
  if (lesson.state === "speaking" || lesson.state === "thinking" || captionTimer) return;
  captionTimer = setTimeout(() => {
    captionTimer = 0;
    if (!lesson.isAnswering) $("caption").classList.remove("shown");
  }, CAPTION_MS);
}

function notify({ code, sentence }) {
  if (!isRetryable(code)) notices.show(code, sentence);
  else if (code === "too_many_sessions_for_student") notices.show(code, sentence, { label: "end_others", run: endOthers });
  else notices.show(code, sentence, { label: "retry", run: start });
}

function isRetryable(code) {
  return !lesson.isStarted && code !== "key_wanted";
}

async function endOthers() {
  try {
    await lesson.engine.endOthers();
    await start();
  } catch (refused) {
    notify({ code: refused.code, sentence: refused.message });
  }
}

async function showStream(stream) {
  if (video.srcObject !== stream) video.srcObject = stream;
  try {
    await video.play();
  } catch (error) {
    if (error.name !== "NotAllowedError") return; // another stream has come meanwhile
    video.muted = true; // the browser wants a click before there may be sound
    $("unmute").hidden = false;
    video.play().catch(() => {});
  }
}

// ── hands and keys ─────────────────────────────────────────────────────────────────────────────────

async function start() {
  if (isStarting || lesson.isStarted) return;
  isStarting = true;
  lesson.engine.key = $("key").value.trim();
  show();
  try {
    await lesson.start();
    if (lesson.context.state !== "running") $("unmute").hidden = false;
    if (options.get("mic") === "1") whenUp(() => lesson.listen("open"));
    $("start").blur(); // so that the space bar is free
  } catch (refused) {
    $("key-row").hidden = refused.code !== "key_wanted";
    if (refused.code === "key_wanted") $("key").focus();
    if (refused.code !== "key_wanted" || $("key").value) lesson.tell(refused.code ?? "refused", refused.message);
  } finally {
    isStarting = false;
    show();
  }
}

function whenUp(run) {
  if (lesson.engine.isUp) run();
  else lesson.engine.addEventListener("up", run, { once: true });
}

function unmute() {
  $("unmute").hidden = true;
  video.muted = false;
  lesson.context?.resume();
  video.play().catch(() => {});
}

function send(event) {
  event.preventDefault();
  const content = $("text").value;
  $("text").value = "";
  grow();
  void lesson.say(content);
}

function grow() {
  const field = $("text");
  field.style.height = "auto";
  field.style.height = `${Math.min(field.scrollHeight, 140)}px`;
}

function isTyping(target) {
  return target.closest("input, textarea, button, summary, select, a") !== null;
}

function keyDown(event) {
  if (event.key === "Escape" && lesson.isAnswering) lesson.interrupt();
  if (!lesson.isStarted || (isTyping(event.target) && event.target !== $("hold"))) return;
  if (event.code !== "Space") {
    // Whoever begins to write wants to write to the tutor.
    const isLetter = event.key.length === 1 && !event.ctrlKey && !event.metaKey && !event.altKey;
    if (isLetter) $("text").focus();
    return;
  }
  event.preventDefault();
  if (!event.repeat) void lesson.hold();
}

function keyUp(event) {
  if (event.code === "Space" && lesson.wished === "held") {
    event.preventDefault();
    void lesson.letGo();
  }
}

function listenToHands() {
  $("welcome").onsubmit = (event) => {
    event.preventDefault();
    void start();
  };
  $("composer").onsubmit = send;
  $("text").oninput = grow;
  $("text").onkeydown = (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) send(event);
  };
  $("mic").onclick = () => lesson.listen(lesson.listening === "open" ? "closed" : "open");
  $("stop").onclick = () => lesson.interrupt();
  $("unmute").onclick = unmute;
  $("link").onclick = () => lesson.reconnect();
  $("course").onchange = () => lesson.switchCourse($("course").value || null);
  $("language").onclick = () => {
    otherLanguage();
    translate();
    show();
  };
  const hold = $("hold");
  hold.onpointerdown = (event) => {
    hold.setPointerCapture(event.pointerId);
    void lesson.hold();
  };
  hold.onpointerup = hold.onpointercancel = () => lesson.letGo();
  hold.oncontextmenu = (event) => event.preventDefault();
  $("latency").onmouseenter = () => $("latency").setAttribute("open", "");
  $("latency").onmouseleave = () => $("latency").removeAttribute("open");
  addEventListener("keydown", keyDown);
  addEventListener("keyup", keyUp);
  addEventListener("blur", () => lesson.letGo());
  addEventListener("pagehide", () => lesson.engine.endSessions());
  addEventListener("pageshow", ({ persisted }) => persisted && location.reload());
}

function listenToLesson() {
  lesson.addEventListener("change", () => {
    show();
    fadeCaption();
  });
  lesson.addEventListener("caption", ({ detail }) => {
    showCaption(detail);
    captionTimer = 0;
  });
  lesson.addEventListener("notice", ({ detail }) => notify(detail));
  lesson.addEventListener("stream", ({ detail }) => showStream(detail));
  for (const name of ["playing", "resize", "pause", "emptied"]) video.addEventListener(name, showLive);
  setInterval(() => $("mic").style.setProperty("--level", (lesson.microphone?.level ?? 0).toFixed(3)), 50);
}

// ── for programs ───────────────────────────────────────────────────────────────────────────────────

window.tutor = {
  get state() { return lesson.state; },
  get link() { return lesson.link; },
  get connected() { return lesson.engine.isUp; },
  get features() { return [...lesson.engine.features]; },
  get sessionId() { return lesson.sessionId; },
  get tutorId() { return lesson.tutorId; },
  get courses() { return lesson.courses; },
  get course() { return lesson.engine.kbId; },
  get studentId() { return lesson.engine.studentId; },
  get listening() { return lesson.listening; },
  get microphoneLevel() { return lesson.microphone?.level ?? 0; },
  get messages() { return lesson.conversation.messages; },
  get lastTranscript() { return lesson.lastTranscript; },
  get lastCaption() { return lesson.lastCaption ?? ""; },
  get captions() { return lesson.captions; },
  get peerState() { return lesson.peer.state; },
  get pc() { return lesson.peer.pc; },
  get voiceLevel() { return lesson.ear?.level ?? 0; },
  get latencyMs() { return lesson.latencyMs; },
  get metrics() { return lesson.metrics; },
  get errors() { return lesson.errors; },
  start,
  say: (words) => lesson.say(words),
  interrupt: () => lesson.interrupt(),
  openMicrophone: () => lesson.listen("open"),
  closeMicrophone: () => lesson.listen("closed"),
  hold: () => lesson.hold(),
  release: () => lesson.letGo(),
  switchTutor: choose,
  switchCourse: (kbId) => lesson.switchCourse(kbId),
  reconnect: () => lesson.reconnect(),
};

showTutors();
translate();
listenToHands();
listenToLesson();
show();
void lesson.findCourses();
if (options.get("autostart") === "1") void start();
