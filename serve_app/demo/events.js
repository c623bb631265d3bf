// What each of the engine's events does to a lesson.

const SPEECH_IS_RECENT_MS = 10_000;
const KEPT = 200;

/**
 * By type: (lesson, event, conversation, mine). `conversation` belongs to the session of the event;
 * `mine`: it is the one on stage.
 */
export const TAKE = {
  hello(lesson) {
    if (!lesson.engine.features.has("ice_servers")) lesson.offer();
  },

  ice_servers(lesson) {
    lesson.offer();
  },

  webrtc_answer(lesson, { sdp }) {
    lesson.peer.answered(sdp);
  },

  transcription_delta(lesson, { content }, conversation, mine) {
    conversation.hearing(content);
    if (mine) lesson.caption(content, true);
  },

  transcription(lesson, { content }, conversation, mine) {
    conversation.heard(content);
    if (!mine) return;
    const nowMs = performance.now();
    const spokenMs = lesson.microphone?.lastLoudMs ?? 0;
    lesson.lastTranscript = content;
    lesson.expectVoice(nowMs - spokenMs < SPEECH_IS_RECENT_MS ? spokenMs : nowMs);
    lesson.caption("");
  },

  text_delta(lesson, { turn_id: turnId, content }, conversation, mine) {
    conversation.delta(turnId, content);
    if (!mine || lesson.engine.features.has("captions") || lesson.interrupting) return;
    const before = lesson.written.turnId === turnId ? lesson.written.text : "";
    lesson.written = { turnId, text: before + content };
    lesson.caption(lastSentence(lesson.written.text));
  },

  audio_delta(lesson, { turn_id: turnId, data, sample_rate: rateHz }, conversation, mine) {
    if (mine && !lesson.interrupting && !conversation.over.has(turnId)) lesson.player.piece(data, rateHz);
  },

  sources(_lesson, { turn_id: turnId, items }, conversation) {
    conversation.sources(turnId, items);
  },

  text(lesson, { content, audio }, conversation, mine) {
    conversation.closed(content);
    if (mine && audio) lesson.player.whole(audio);
  },

  audio(lesson, { data }, _conversation, mine) {
    if (mine) lesson.player.whole(data);
  },

  caption(lesson, { turn_id: turnId, content, at_ms: atMs }, conversation, mine) {
    if (!mine || conversation.over.has(turnId)) return;
    lesson.captions.push({ turn_id: turnId, content, at_ms: atMs });
    if (lesson.captions.length > KEPT) lesson.captions.shift();
    lesson.caption(content);
  },

  state(lesson, { state, engine_session_id: sessionId }, conversation, mine) {
    lesson.states.set(sessionId ?? lesson.sessionId, state);
    if (state === "speaking" && mine) lesson.staged = lesson.tutorId;
    if (state === "thinking" && mine) lesson.player.begin();
    if (state === "idle" || state === "speaking") conversation.nothingSaid();
  },

  turn_metrics(lesson, event, _conversation, mine) {
    if (mine) lesson.metrics = event;
  },

  interrupted(lesson, { turn_id: turnId, heard }, conversation, mine) {
    const byKey = lesson.interrupting > 0;
    if (byKey) lesson.interrupting -= 1;
    conversation.cut(turnId, heard, byKey);
    if (!mine || byKey) return;
    lesson.player.stop();
    lesson.ear.forget();
    lesson.caption("");
  },

  error(lesson, { code, content, engine_session_id: sessionId }) {
    if (lesson.engine.left.has(sessionId)) return; // that it ends was the learner's wish
    if (code === "webrtc_replaced") {
      lesson.tell(code, content);
      lesson.peer.giveUp(); // or two pages would take it from each other for ever
    } else if (code === "no_peer" || code === "peer_gone") {
      lesson.peer.fail(); // the engine has lost it; this answer comes over the socket
    } else if (code === "invalid_sdp" || code.startsWith("webrtc_") || code.startsWith("turn_")) {
      lesson.tellOnce(code, content);
      if (!lesson.peer.isConnected) lesson.peer.fail();
    } else {
      if (code === "session_ended" || code === "session_not_found") lesson.engine.forget(sessionId);
      lesson.tell(code, content);
    }
  },
};

function lastSentence(text) {
  return text.trim().split(/(?<=[.!?。！？…])\s*/).filter(Boolean).at(-1) ?? "";
}
