// What went wrong, and what to do, in words; one notice for each code.

import { explanation, word } from "./words.js";

const MOST = 3;
const SHOWN_MS = { unusable_speech: 6_000 };
const USUAL_MS = 20_000;

export class Notices {
  constructor(node) {
    this.node = node;
    this.shown = new Map();
  }

  /** `action` is {label, run}. */
  show(code, sentence = "", action = null) {
    this.hide(code);
    const [title, remedy] = explanation(code) ?? [sentence, ""];
    const notice = document.createElement("div");
    notice.className = "notice";
    notice.dataset.code = code;
    notice.setAttribute("role", code in SHOWN_MS ? "status" : "alert");
    notice.append(line("strong", title), line("p", remedy));
    if (sentence && sentence !== title) notice.append(line("small", sentence));
    if (action) notice.append(this.button("act", word(action.label), () => this.act(code, action)));
    const dismiss = this.button("dismiss", "×", () => this.hide(code));
    dismiss.setAttribute("aria-label", word("dismiss"));
    notice.append(dismiss);
    this.node.append(notice);
    const timer = action ? 0 : setTimeout(() => this.hide(code), SHOWN_MS[code] ?? USUAL_MS);
    this.shown.set(code, { notice, timer });
    if (this.shown.size > MOST) this.hide(this.shown.keys().next().value);
  }

  act(code, action) {
    this.hide(code);
    action.run();
  }

  hide(code) {
    const known = this.shown.get(code);
    if (!known) return;
    clearTimeout(known.timer);
    known.notice.remove();
    this.shown.delete(code);
  }

  button(name, label, run) {
    const button = line("button", label);
    button.className = name;
    button.type = "button";
    button.onclick = run;
    return button;
  }
}

function line(name, text) {
  const node = document.createElement(name);
  node.textContent = text;
  if (!text) node.hidden = true;
  return node;
}
