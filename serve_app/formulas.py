"""How a formula is read aloud, in English or Chinese: LaTeX, or plain text such as x^2. Pure."""

import re

_WORDS: dict[str, tuple[str, str]] = {
    "+": ("plus", "加"),
    "-": ("minus", "减"),
    "*": ("times", "乘"),
    "/": ("over", "除以"),
    "=": ("equals", "等于"),
    "<": ("is less than", "小于"),
    ">": ("is greater than", "大于"),
    "!": ("factorial", "的阶乘"),
    "'": ("prime", "撇"),
    "%": ("percent", "百分号"),
    ",": (",", "，"),
    ".": (".", "。"),
    ":": (":", "："),
    ";": (";", "；"),
    "\\\\": (",", "，"),
    "\\%": ("percent", "百分号"),
    "\\$": ("dollars", "美元"),
    "times": ("times", "乘"),
    "cdot": ("times", "乘"),
    "div": ("divided by", "除以"),
    "pm": ("plus or minus", "正负"),
    "mp": ("minus or plus", "负正"),
    "neq": ("is not equal to", "不等于"),
    "ne": ("is not equal to", "不等于"),
    "leq": ("is less than or equal to", "小于等于"),
    "le": ("is less than or equal to", "小于等于"),
    "geq": ("is greater than or equal to", "大于等于"),
    "ge": ("is greater than or equal to", "大于等于"),
    "lt": ("is less than", "小于"),
    "gt": ("is greater than", "大于"),
    "ll": ("is much less than", "远小于"),
    "gg": ("is much greater than", "远大于"),
    "approx": ("is about", "约等于"),
    "sim": ("is similar to", "相似于"),
    "equiv": ("is equivalent to", "恒等于"),
    "propto": ("is proportional to", "正比于"),
    "to": ("goes to", "趋于"),
    "rightarrow": ("goes to", "趋于"),
    "longrightarrow": ("goes to", "趋于"),
    "mapsto": ("maps to", "映射到"),
    "leftarrow": ("comes from", "来自"),
    "Rightarrow": ("implies", "推出"),
    "implies": ("implies", "推出"),
    "Leftrightarrow": ("if and only if", "等价于"),
    "iff": ("if and only if", "等价于"),
    "infty": ("infinity", "无穷大"),
    "partial": ("partial", "偏"),
    "nabla": ("nabla", "纳布拉"),
    "in": ("in", "属于"),
    "notin": ("not in", "不属于"),
    "subset": ("is a subset of", "包含于"),
    "subseteq": ("is a subset of", "包含于"),
    "cup": ("union", "并"),
    "cap": ("intersected with", "交"),
    "emptyset": ("the empty set", "空集"),
    "forall": ("for all", "对所有"),
    "exists": ("there exists", "存在"),
    "neg": ("not", "非"),
    "land": ("and", "且"),
    "lor": ("or", "或"),
    "therefore": ("therefore", "所以"),
    "because": ("because", "因为"),
    "perp": ("is perpendicular to", "垂直于"),
    "parallel": ("is parallel to", "平行于"),
    "angle": ("angle", "角"),
    "triangle": ("triangle", "三角形"),
    "circ": ("degrees", "度"),
    "degree": ("degrees", "度"),
    "prime": ("prime", "撇"),
    "ldots": ("and so on", "等等"),
    "dots": ("and so on", "等等"),
    "cdots": ("and so on", "等等"),
    "mid": ("given", "在条件"),
    "hbar": ("h bar", "约化普朗克常数"),
    "ell": ("l", "l"),
    "sin": ("sine", "正弦"),
    "cos": ("cosine", "余弦"),
    "tan": ("tangent", "正切"),
    "cot": ("cotangent", "余切"),
    "log": ("log", "对数"),
    "lg": ("log", "对数"),
    "ln": ("natural log", "自然对数"),
    "exp": ("exp", "指数"),
    "det": ("determinant", "行列式"),
    "gcd": ("greatest common divisor", "最大公约数"),
    "bmod": ("mod", "模"),
    "pmod": ("mod", "模"),
}  # fmt: skip

_GREEK = {
    "alpha": "阿尔法", "beta": "贝塔", "gamma": "伽马", "delta": "德尔塔", "epsilon": "艾普西隆",
    "zeta": "泽塔", "eta": "伊塔", "theta": "西塔", "iota": "约塔", "kappa": "卡帕",
    "lambda": "拉姆达", "mu": "缪", "nu": "纽", "xi": "克西", "omicron": "奥密克戎", "pi": "派",
    "rho": "柔", "sigma": "西格玛", "tau": "陶", "upsilon": "宇普西隆", "phi": "斐", "chi": "希",
    "psi": "普西", "omega": "欧米伽",
}  # fmt: skip
for _name, _chinese in _GREEK.items():
    _WORDS[_name] = _WORDS[f"var{_name}"] = (_name, _chinese)
    _WORDS[_name.capitalize()] = (f"capital {_name}", f"大写{_chinese}")

_COMMAND_OF = dict(zip("αβγδεζηθικλμνξοπρστυφχψω", _GREEK, strict=True)) | {
    "Δ": "Delta", "Γ": "Gamma", "Θ": "Theta", "Λ": "Lambda", "Π": "Pi", "Σ": "Sigma",
    "Φ": "Phi", "Ψ": "Psi", "Ω": "Omega", "µ": "mu", "ς": "sigma", "ϕ": "phi",
    "×": "times", "÷": "div", "·": "cdot", "⋅": "cdot", "±": "pm", "∓": "mp",
    "≠": "neq", "≤": "leq", "≥": "geq", "≈": "approx", "≡": "equiv", "∝": "propto", "∼": "sim",
    "→": "to", "⟶": "to", "←": "leftarrow", "⇒": "implies", "⇔": "iff", "↔": "iff",
    "∞": "infty", "∂": "partial", "∇": "nabla", "∈": "in", "∉": "notin", "⊂": "subset",
    "⊆": "subseteq", "∪": "cup", "∩": "cap", "∅": "emptyset", "∀": "forall", "∃": "exists",
    "¬": "neg", "∧": "land", "∨": "lor", "∴": "therefore", "∵": "because", "⊥": "perp",
    "∥": "parallel", "∠": "angle", "△": "triangle", "°": "circ", "′": "prime", "…": "ldots",
    "√": "sqrt", "∑": "sum", "∏": "prod", "∫": "int",
}  # fmt: skip

_PLAIN = str.maketrans(
    {character: f"\\{name} " for character, name in _COMMAND_OF.items()}
    | {"−": "-", "–": "-", "∗": "*"}
    | {character: f"^{{{digit}}}" for digit, character in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")}
    | {character: f"_{{{digit}}}" for digit, character in enumerate("₀₁₂₃₄₅₆₇₈₉")}
)

_TOKEN = re.compile(r"\\[A-Za-z]+\*?|\\.|\d+(?:[.,]\d+)*|[A-Za-z]{3,}|[^\W\d_]|\S", re.S)
_RAW = re.compile(r"\\(?:text\w*|mathrm|operatorname\*?|mbox|mathit)\s*\{([^{}]*)\}")
_NO_WORDS = re.compile(r"[^\w\s,.;:!?()'-]|_")
_SILENT = re.compile(
    r"\\(?:begin|end|label|tag|color|hspace|vspace)\*?\s*\{[^{}]*\}(?:\{[lcr|]*\})?"
    r"|\\(?:left|right|[bB]igg?[lr]?)\s*\.?"
)
_UNARY_AFTER = frozenset("+-*/=<>([{,^_") | {"times", "cdot", "div", "pm", "to"}
_UNARY_AFTER |= {"leq", "le", "geq", "ge", "neq", "ne", "approx"}
_APPLIED = frozenset("fghFGHPE")  # f(x), but a(b + c)
_MARKS = {"vec": ("vector {}", "向量{}"), "overrightarrow": ("vector {}", "向量{}")} | {
    name: (f"{{}} {mark}", f"{{}}{chinese}")
    for name, mark, chinese in (
        ("hat", "hat", "帽"),
        ("bar", "bar", "拔"),
        ("overline", "bar", "拔"),
        ("tilde", "tilde", "波浪"),
        ("dot", "dot", "点"),
        ("ddot", "double dot", "两点"),
    )
}
_BOUNDED = {
    "sum": ("the sum", "求和"),
    "prod": ("the product", "连乘"),
    "int": ("the integral", "积分"),
    "oint": ("the closed integral", "闭合积分"),
}
_ELEMENTS = (
    "H|He|Li|Be|B|C|N|O|F|Ne|Na|Mg|Al|Si|P|S|Cl|Ar|K|Ca|Cr|Mn|Fe|Co|Ni|Cu|Zn|Br|Ag|Sn|I|Ba|Au|Hg|Pb"
)
_MOLECULE = re.compile(rf"\(?(?:(?:{_ELEMENTS})(?:_\{{?\d+\}}?|\)_\{{?\d+\}}?)?|\()+")
_DEEPEST = 20  # groups within groups: deeper braces are no formula
_CHINESE = "\u2e80-\ufaff\uff00-\uffef"


def spoken_formula(formula: str, language: str) -> str:
    """The words for a formula, without its dollar signs. `language` is "zh" or else English."""
    plain = _SILENT.sub(" ", formula).translate(_PLAIN).strip()
    chinese = language == "zh"
    if "_" in plain and _MOLECULE.fullmatch(plain):
        return " ".join(re.findall(r"[A-Z][a-z]?|\d+", plain))
    words = " ".join(
        _NO_WORDS.sub(" ", part) if index % 2 else _Formula(_TOKEN.findall(part), chinese).read()
        for index, part in enumerate(_RAW.split(plain))
    )
    return tidy(words)


def symbol_words(character: str, language: str) -> str | None:
    """The words for one mathematical character such as ± or π, if it is one."""
    name = _COMMAND_OF.get(character, "")
    name = {"sqrt": "root", "int": "integral"}.get(name, name)
    pair = _WORDS.get(name) or _SYMBOL_ALONE.get(name)
    return pair[language == "zh"] if pair else None


_SYMBOL_ALONE = {
    "root": ("root", "根号"),
    "integral": ("integral", "积分"),
    "sum": ("sum", "求和"),
    "prod": ("product", "连乘"),
}


def tidy(text: str) -> str:
    """Single spaces, none beside Chinese characters or before a mark."""
    text = re.sub(r"\s+", " ", text)
    text = re.sub(rf"(?<=[{_CHINESE}]) | (?=[{_CHINESE}])", "", text)
    return re.sub(r" (?=[,.;:!?])", "", text).strip()


class _Formula:
    """Reads tokens from left to right; what it does not know it leaves out."""

    def __init__(self, tokens: list[str], chinese: bool) -> None:
        self._tokens = tokens
        self._next = 0
        self._chinese = chinese
        self._depth = 0

    def read(self) -> str:
        parts = []
        while self._next < len(self._tokens):
            parts.append(self._sequence())
        return " ".join(parts)

    def _say(self, pair: tuple[str, str], *values: str) -> str:
        return pair[self._chinese].format(*values)

    def _peek(self) -> str:
        return self._tokens[self._next] if self._next < len(self._tokens) else ""

    def _take(self) -> str:
        token = self._peek()
        self._next += 1
        return token

    def _sequence(self, closing: str = "") -> str:
        self._depth += 1
        words: list[str] = []
        before = "("
        while token := self._take():
            if token in (closing, "}", ")"):
                break
            words.append(self._with_scripts(token, before))
            before = token.removeprefix("\\")
        self._depth -= 1
        return " ".join(word for word in words if word)

    def _with_scripts(self, token: str, before: str) -> str:
        name = token.removeprefix("\\") if token != "\\" else ""
        if token.startswith("\\") and (name in _BOUNDED or name in ("lim", "log")):
            return self._bounded(name)
        if token == "(" and self._depth < _DEEPEST:
            spoken = self._bracket(before)
        elif token == "-" and before in _UNARY_AFTER:
            return self._say(("negative", "负"))
        else:
            spoken = self._atom(token)
        while self._peek() in ("^", "_"):
            spoken = self._script(spoken, self._take(), self._argument())
        return spoken

    def _atom(self, token: str) -> str:
        if token == "{":
            return self._sequence("}") if self._depth < _DEEPEST else ""
        if not token.startswith("\\"):
            pair = _WORDS.get(token)
            return self._say(pair) if pair else (token if token[0].isalnum() else "")
        name = token[1:].rstrip("*")
        if name in ("frac", "dfrac", "tfrac", "cfrac"):
            return self._fraction()
        if name == "sqrt":
            return self._root()
        if name in _MARKS:
            return self._say(_MARKS[name], self._argument())
        pair = _WORDS.get(name if name.isalpha() else token)
        return self._say(pair) if pair else ""

    def _argument(self) -> str:
        token = self._take()
        if token == "-":
            return f"{self._say(('negative', '负'))} {self._argument()}"
        if self._depth >= _DEEPEST or token in ("", "^", "_", "}"):
            return ""
        self._depth += 1
        spoken = self._atom(token)
        self._depth -= 1
        return spoken

    def _fraction(self) -> str:
        above, below = self._argument(), self._argument()
        if not self._chinese and " " in above:
            return f"{above}, all over {below}"
        return self._say(("{0} over {1}", "{1}分之{0}"), above, below)

    def _root(self) -> str:
        degree = ""
        if self._peek() == "[":
            self._next += 1
            degree = self._sequence("]")
        if degree in ("", "2"):
            return self._say(("the square root of {}", "根号{}"), self._argument())
        if degree == "3":
            return self._say(("the cube root of {}", "三次根号{}"), self._argument())
        return self._say(("the root of order {} of {}", "{}次根号{}"), degree, self._argument())

    def _bracket(self, before: str) -> str:
        inner = self._sequence(")")
        if self._peek() in ("^", "_"):
            return self._say(("the quantity {}", "括号{}"), inner)
        return self._say(("of {}", "{}"), inner) if before in _APPLIED else inner

    def _script(self, base: str, kind: str, script: str) -> str:
        if script in ("degrees", "度", "prime", "撇"):
            return f"{base} {script}"
        if not script:
            return base
        if kind == "_":
            return self._say(("{} sub {}", "{}下标{}"), base, script)
        if script in ("2", "3"):
            english, chinese = {"2": ("squared", "平方"), "3": ("cubed", "立方")}[script]
            return self._say((f"{{}} {english}", f"{{}}的{chinese}"), base)
        return self._say(("{} to the power of {}", "{}的{}次方"), base, script)

    def _bounded(self, name: str) -> str:
        """A sum, an integral, a limit: what stands below and above it."""
        scripts = {"_": "", "^": ""}
        while self._peek() in scripts:
            kind = self._take()
            scripts[kind] = self._argument()
        below, above = scripts["_"], scripts["^"]
        if name == "lim":
            return self._say(("the limit as {} of", "当{}时的极限"), below)
        if name == "log":
            english, chinese = ("log base {}", "以{}为底的对数") if below else ("log", "对数")
            spoken = self._say((english, chinese), below)
            return self._script(spoken, "^", above)
        if below and above:
            pair = ("{0} from {1} to {2} of", "从{1}到{2}{0}")
        elif below:
            pair = ("{0} over {1} of", "对{1}{0}")
        else:
            pair = ("{0} of", "{0}")
        return self._say(pair, self._say(_BOUNDED[name]), below, above)
