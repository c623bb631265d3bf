// What the page says, in two languages.

const WORDS = {
  en: {
    title: "Virtual Tutor",
    language: "中文",
    theatre: "Tutor",
    controls: "Microphone",
    conversation: "Conversation",
    tutor: "Tutor",
    course: "Course",
    no_course: "None",
    source: "Source",
    sources: "Sources",
    page: "page {page}",
    start: "Start",
    starting: "Connecting…",
    greeting: "Talk with {name}",
    welcome: "Speak or write; you can break in at any time.",
    key: "Engine key (ENGINE_API_KEY)",
    write: "Write to the tutor",
    send: "Send",
    stop: "Stop",
    stop_tip: "Stop the answer (Esc)",
    hold: "Hold to talk",
    hold_tip: "Hold this button, or the space bar, while you speak",
    mic_open: "Open the microphone",
    mic_close: "Close the microphone",
    hint_off: "Press Start, then speak or write.",
    hint_closed: "Open the microphone, or hold the space bar while you speak.",
    hint_open: "The microphone is open: just speak.",
    hint_held: "Speak now; let go when you have finished.",
    idle: "Ready",
    listening: "Listening",
    thinking: "Thinking",
    speaking: "Speaking",
    link_off: "Not connected",
    link_connecting: "Connecting",
    link_live: "Live · WebRTC",
    link_socket: "Over the socket",
    link_reconnecting: "Reconnecting",
    link_tip: "Connect anew",
    latency_meaning: "From the end of your question to the first sound of the answer.",
    unmute: "Turn the sound on",
    cut: "interrupted",
    empty: "What you and {name} say appears here.",
    dismiss: "Dismiss",
    retry: "Try again",
    end_others: "End my other sessions",
    example_1: "Why is the sky blue?",
    example_2: "Explain photosynthesis in two sentences.",
    example_3: "Let us practise small talk.",
    sample_1: "What is fog?",
    sample_2: "Why does ice float?",
    sample_3: "How do clouds form?",
    asr_ms: "Heard",
    llm_first_token_ms: "First word",
    first_sentence_ms: "First sentence",
    tts_first_audio_ms: "First sound",
    first_frame_ms: "First picture",
    total_ms: "Everything",
    errors: {
      key_wanted: ["This engine wants its key", "Enter the ENGINE_API_KEY it was started with, and start again."],
      engine_away: ["The engine does not answer", "Check that it runs (`tutor status`); the page tries again by itself."],
      too_many_sessions: ["All places are taken", "Wait until somebody has finished, or raise MAX_SESSIONS."],
      too_many_sessions_for_student: ["You have too many sessions", "Close other pages of the tutor, or end their sessions here."],
      degraded: ["Without the course", "The tutor answers all the same."],
      storage_failed: ["The engine's database does not answer", "Try again in a moment."],
      microphone_denied: ["The microphone is blocked", "Allow it for this page in the browser's address bar, then open it again."],
      microphone_missing: ["No microphone was found", "Connect one, or write instead."],
      microphone_insecure: ["The browser gives no microphone here", "Open the page over https, or as localhost on the engine's own machine."],
      microphone_unsupported: ["Speech needs a live connection", "This engine takes no sound over the socket. Write instead."],
      webrtc_ports_taken: ["No free port for the picture", "The conversation goes on over the socket, with voice and a portrait."],
      webrtc_failed: ["The live picture could not be reached", "A firewall may block UDP; the conversation goes on over the socket."],
      webrtc_replaced: ["Another page has the live picture", "This one goes on over the socket; click the connection above to take it back."],
      session_ended: ["This session has ended", "A new one begins with your next question."],
      unusable_speech: ["Nothing was understood", "Speak closer to the microphone, or write."],
    },
  },
  zh: {
    title: "虚拟导师",
    language: "English",
    theatre: "导师",
    controls: "麦克风",
    conversation: "对话",
    tutor: "导师",
    course: "课程",
    no_course: "不使用",
    source: "来源",
    sources: "来源",
    page: "第 {page} 页",
    start: "开始",
    starting: "正在连接…",
    greeting: "和{name}聊一聊",
    welcome: "可以说话，也可以打字；随时都能打断。",
    key: "引擎密钥（ENGINE_API_KEY）",
    write: "给导师写点什么",
    send: "发送",
    stop: "停止",
    stop_tip: "停止回答（Esc）",
    hold: "按住说话",
    hold_tip: "说话时按住此按钮或空格键",
    mic_open: "打开麦克风",
    mic_close: "关闭麦克风",
    hint_off: "点击“开始”，然后说话或打字。",
    hint_closed: "打开麦克风，或按住空格键说话。",
    hint_open: "麦克风已打开，直接说话即可。",
    hint_held: "请讲，说完后松开。",
    idle: "就绪",
    listening: "正在听",
    thinking: "正在想",
    speaking: "正在说",
    link_off: "未连接",
    link_connecting: "正在连接",
    link_live: "实时 · WebRTC",
    link_socket: "WebSocket 连接",
    link_reconnecting: "正在重连",
    link_tip: "重新连接",
    latency_meaning: "从您说完到听见回答第一个声音的时间。",
    unmute: "打开声音",
    cut: "已打断",
    empty: "您和{name}的对话会显示在这里。",
    dismiss: "关闭",
    retry: "再试一次",
    end_others: "结束我的其他会话",
    example_1: "天空为什么是蓝色的？",
    example_2: "用两句话解释光合作用。",
    example_3: "我们来练习日常对话吧。",
    sample_1: "雾是怎样形成的？",
    sample_2: "冰为什么浮在水面上？",
    sample_3: "什么是水循环？",
    asr_ms: "听懂",
    llm_first_token_ms: "第一个字",
    first_sentence_ms: "第一句话",
    tts_first_audio_ms: "第一个声音",
    first_frame_ms: "第一帧画面",
    total_ms: "全部",
    errors: {
      key_wanted: ["引擎需要密钥", "请输入启动引擎时设置的 ENGINE_API_KEY，然后重新开始。"],
      engine_away: ["引擎没有应答", "请检查它是否在运行（`tutor status`）；页面会自动重试。"],
      too_many_sessions: ["名额已满", "请等待他人结束，或调大 MAX_SESSIONS。"],
      too_many_sessions_for_student: ["您的会话太多", "请关闭其他导师页面，或在这里结束那些会话。"],
      degraded: ["未使用课程", "导师仍会照常回答。"],
      storage_failed: ["引擎的数据库没有应答", "请稍后再试。"],
      microphone_denied: ["麦克风被禁止", "请在浏览器地址栏允许此页面使用麦克风，然后重新打开。"],
      microphone_missing: ["没有找到麦克风", "请连接麦克风，或改用打字。"],
      microphone_insecure: ["浏览器在此地址不提供麦克风", "请通过 https 打开页面，或在引擎所在机器上用 localhost 打开。"],
      microphone_unsupported: ["说话需要实时连接", "此引擎不接收 WebSocket 上的声音，请改用打字。"],
      webrtc_ports_taken: ["画面没有空闲端口", "对话照常继续，有声音和肖像。"],
      webrtc_failed: ["无法建立实时画面", "防火墙可能拦截了 UDP；对话照常继续。"],
      webrtc_lost: ["实时连接中断", "网络断开或已切换；页面会自动重连，对话继续。"],
      webrtc_udp_blocked: ["UDP 被拦截", "请开放引擎的 UDP 端口，或设置 TURN_URLS；对话照常继续。"],
      webrtc_no_path: ["没有可用的网络路径", "请开放引擎的 UDP 端口，或设置 TURN_URLS；对话照常继续。"],
      turn_refused: ["中继（TURN）拒绝了引擎", "请检查 TURN_SECRET 与双方时钟；对话照常继续。"],
      turn_unreachable: ["中继（TURN）没有应答", "请检查 TURN_URLS 与防火墙；对话照常继续。"],
      engine_unavailable: ["引擎的一个部分不可用", "详情如下；稍后再试，或运行 `tutor status`。"],
      engine_timeout: ["引擎的一个部分太慢", "请再试一次。"],
      engine_failed: ["引擎的一个部分出错", "请再试一次；日志里有原因。"],
      webrtc_replaced: ["另一个页面正在使用实时画面", "此页面的对话照常继续；点击上方的连接状态可以取回。"],
      webrtc_no_candidates: ["浏览器没有提供网络地址", "请检查浏览器或扩展是否禁用了 WebRTC；对话照常继续。"],
      webrtc_handshake_failed: ["加密握手失败", "网络可能丢弃了大数据包，请改用中继；对话照常继续。"],
      session_ended: ["会话已结束", "您下次提问时会开始新的会话。"],
      unusable_speech: ["没有听懂", "请靠近麦克风再说一次，或打字。"],
    },
  },
};

let language = navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
try {
  language = localStorage.getItem("tutor.language") ?? language;
} catch {
  // Without storage the choice lasts as long as the page.
}

export function word(key, values = {}) {
  const text = WORDS[language][key] ?? WORDS.en[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

/** Title and remedy of an error by its code; null for one the page does not know. */
export function explanation(code) {
  return WORDS[language].errors[code] ?? WORDS.en.errors[code] ?? null;
}

export function otherLanguage() {
  language = language === "zh" ? "en" : "zh";
  try {
    localStorage.setItem("tutor.language", language);
  } catch {
    // As above.
  }
}

/** An element that says this in whichever language is chosen. */
export function worded(name, key, values = {}) {
  const node = document.createElement(name);
  Object.assign(node.dataset, values, { word: key });
  node.textContent = word(key, values);
  return node;
}

/** Puts the words into what names one, also where it was not on the page meanwhile. */
export function translateWithin(root) {
  for (const node of root.querySelectorAll("[data-word]")) node.textContent = word(node.dataset.word, node.dataset);
}

/** Puts the words into everything that names one. */
export function translate() {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  document.title = word("title");
  translateWithin(document);
  for (const node of document.querySelectorAll("[data-label]")) node.setAttribute("aria-label", word(node.dataset.label));
  for (const node of document.querySelectorAll("[data-tip]")) {
    node.title = word(node.dataset.tip);
    if (!node.textContent.trim()) node.setAttribute("aria-label", node.title);
  }
  for (const node of document.querySelectorAll("[data-placeholder]")) node.placeholder = word(node.dataset.placeholder);
  const button = document.querySelector("#language");
  button.textContent = word("language");
  button.lang = language === "zh" ? "en" : "zh-CN";
}
