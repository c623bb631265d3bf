"""The web server's sentences in Chinese, by the English that stands in the code.

`tests/web_server/test_chinese.py` holds that none is missing and none too many. `Tutor not found`
has no Chinese on purpose: clients compare it to the letter.
"""

from typing import Final

SENTENCES: Final[dict[str, str]] = {
    # Logging in, and what an account may do
    "You are not signed in, or no longer. Log in again.": (
        "你还没有登录，或者登录已失效。请重新登录。"
    ),
    "You have been logged in for a long time. Log in again.": "登录的时间太久了，请重新登录。",
    "Your login has ended. Log in again.": "登录已失效，请重新登录。",
    "This email address and password do not belong together. Try again.": (
        "邮箱和密码不匹配，请再试一次。"
    ),
    "The old password is not right, so nothing has changed. Try again.": (
        "现在的密码不对，所以没有做任何修改。请再试一次。"
    ),
    "Too many tries to log in. Wait {seconds} seconds and try again.": (
        "登录尝试次数太多，请等 {seconds} 秒后再试。"
    ),
    "Very many people are logging in just now. Try again in a while.": (
        "现在登录的人很多，请稍后再试。"
    ),
    "Only an administrator may do this. Log in with such an account.": (
        "只有管理员可以这样做。请用管理员账户登录。"
    ),
    "Everybody knows the password of this demo account, so it is only for this machine itself, at"
    " its address http://127.0.0.1 or http://localhost. For use from elsewhere set"
    " DEMO_ACCOUNTS=false and make an account with `python -m web_server add-admin EMAIL`.": (
        "这个演示账户的密码人人都知道，所以只能在这台机器上通过 http://127.0.0.1 或 http://localhost"
        " 使用。要从别处使用，请设置 DEMO_ACCOUNTS=false，并用"
        " `python -m web_server add-admin EMAIL` 新建账户。"
    ),
    "There is no account {email}.": "没有账户 {email}。",
    "There is an account with {email} already.": "已经有使用 {email} 的账户了。",
    "There is no such student.": "没有这个学生。",
    "Student not found": "没有这个学生",
    # Faces, voices, courses, sessions
    "There is no face of that name.": "没有这个名称的形象。",
    "There is no picture of that face.": "这个形象没有图片。",
    "There is a face of that name already. Choose another one.": (
        "已经有这个名称的形象了，请换一个名称。"
    ),
    "It is the face of {names}. Give them another one first.": (
        "{names}正在使用这个形象，请先给老师换一个。"
    ),
    "There is no voice of that name.": "没有这个名称的声音。",
    "There is a voice of that name already. Choose another one.": (
        "已经有这个名称的声音了，请换一个名称。"
    ),
    "It is the voice of {names}. Give them another one first.": (
        "{names}正在使用这个声音，请先给老师换一个。"
    ),
    "There is no such knowledge base.": "没有这个知识库。",
    "{names} teaches with it. Take it from the tutor first.": (
        "{names}正在用这个知识库上课，请先从老师那里取下。"
    ),
    "There is no such session, or it has ended. Start a new one.": (
        "没有这节课，或者它已经结束。请重新开始。"
    ),
    "You have no live session. Start one with POST /api/student/sessions.": (
        "你没有正在上的课。请先用 POST /api/student/sessions 开始一节。"
    ),
    # Files on their way
    "The file is larger than {megabytes} MB. Send a smaller one.": (
        "文件超过 {megabytes} MB，请换一个小一些的。"
    ),
    "The upload broke off. Send the file again.": "上传中断了，请重新发送文件。",
    "Several files are being sent. Try again in a while.": "正在发送的文件太多，请稍后再试。",
    "Very many pages are open. Close some, and try again.": "打开的页面太多，请关闭一些后再试。",
    # The engine, and the way to it
    "The tutor engine does not answer just now. Try again in a while; `tutor status` says more.": (
        "老师引擎现在没有回应，请稍后再试；用 `tutor status` 可以看到详情。"
    ),
    "The tutor engine is switched off here (ENGINE_ENABLED=false).": (
        "这里的老师引擎已关闭（ENGINE_ENABLED=false）。"
    ),
    "The engine refuses this server's key. Give both the same ENGINE_API_KEY.": (
        "引擎不接受这个服务器的密钥。请给两边设置相同的 ENGINE_API_KEY。"
    ),
    "The tutor engine is switched off here. Ask whoever runs this server.": (
        "这里的老师引擎已关闭，请询问管理这个服务器的人。"
    ),
    "The tutor engine does not answer just now; it is tried again by itself. What was sent last "
    "may not have arrived: send it again when the tutor is back.": (
        "老师引擎现在没有回应，正在自动重试。最后发送的内容可能没有送到，请在老师回来后再发一次。"
    ),
    "The tutor engine is away, so this was not sent. Send it again when it is back.": (
        "老师引擎暂时离开了，所以没有发送。请在它回来后再发一次。"
    ),
    "This message is too large; the most is {mebibytes} MiB. Send a shorter or a compressed "
    "recording.": "消息太大，最大只能是 {mebibytes} MiB。请发送短一些或压缩过的录音。",
    "This address is another user's. Use the id of your own account.": (
        "这是别人的地址，请使用你自己账户的编号。"
    ),
    "Too many connections of this account are open. Close some of them.": (
        "这个账户打开的连接太多，请关闭一些。"
    ),
    "Pages of this origin may not connect. Add it to CORS_ORIGINS.": (
        "不允许来自这个地址的页面连接。请把它加入 CORS_ORIGINS。"
    ),
    # Addresses, and what goes wrong here
    "There is nothing at this address. The API is described in its OpenAPI.": (
        "这个地址什么也没有。API 的说明见 OpenAPI。"
    ),
    "There is no such file. Load the page again: it may have been renewed.": (
        "没有这个文件。页面可能已更新，请重新加载。"
    ),
    "An address holds no NUL characters (%00). Leave them out.": (
        "地址里不能有 NUL 字符（%00），请去掉。"
    ),
    "The request is larger than 1 MiB. Send less at once.": "请求超过 1 MiB，请每次少发一些。",
    "Method Not Allowed": "这个地址不支持这种方法",
    "There was an error parsing the body": "无法解析请求的内容",
    "The database has been used with a newer version of Virtual Tutor. Run that one, or restore the"
    " backup from before the upgrade.": (
        "这个数据库已经被更新版本的 Virtual Tutor 使用过。请运行那个版本，或者恢复升级之前的备份。"
    ),
    "The database does not answer just now. Try again in a while.": (
        "数据库现在没有回应，请稍后再试。"
    ),
    "Something went wrong inside. Try again; the web server's log says what.": (
        "服务器内部出错了，请再试一次。原因见网页服务器的日志。"
    ),
    "Something went wrong inside the web server; its log says what. Connect again.": (
        "网页服务器内部出错了，原因见它的日志。请重新连接。"
    ),
    # Wrong fields
    "{field}: {finding}": "{field}：{finding}",
    "must be given": "必须填写",
    "must not be empty": "不能为空",
    "must have at least {min_length} characters": "至少要有 {min_length} 个字符",
    "must have at most {max_length} characters": "最多只能有 {max_length} 个字符",
    "must have at least {min_length} entries": "至少要有 {min_length} 项",
    "must have at most {max_length} entries": "最多只能有 {max_length} 项",
    "must be a text": "必须是文字",
    "must be a text of valid characters": "含有无效的字符",
    "must be a whole number": "必须是整数",
    "must be a smaller number": "数字太大",
    "must be a number": "必须是数字",
    "must be true or false": "必须是 true 或 false",
    "must be more than {gt}": "必须大于 {gt}",
    "must be at least {ge}": "不能小于 {ge}",
    "must be less than {lt}": "必须小于 {lt}",
    "must be at most {le}": "不能大于 {le}",
    "must be one of these: {expected}": "只能是其中之一：{expected}",
    "must be left out: it is not known here": "这里不认识它，请去掉",
    "must be an object": "必须是一个对象",
    "must be a list": "必须是一个列表",
    "must be valid JSON": "必须是有效的 JSON",
    "must be an email address, such as name@school.example": (
        "必须是邮箱地址，例如 name@school.example"
    ),
    "must hold no line breaks and no other control characters": "不能有换行或其他控制字符",
    "must hold no NUL characters": "不能有 NUL 字符",
    "must be the code of a language, such as zh or en": "必须是语言代码，例如 zh 或 en",
    "must be more than dots": "不能只有点号",
    "must have 1 to 48 letters and digits, and only spaces, - and _ between them": (
        "必须由 1 到 48 个字母或数字组成，中间只能有空格、- 和 _"
    ),
}

FIELDS: Final[dict[str, str]] = {
    "body": "请求",
    "email": "邮箱",
    "password": "密码",
    "old": "现在的密码",
    "new": "新密码",
    "name": "名称",
    "language": "语言",
    "subject": "科目",
    "description": "介绍",
    "prompt": "指示",
    "model": "模型",
    "face": "形象",
    "voice.name": "声音",
    "voice.rate": "语速",
    "voice.pitch": "音调",
    "q": "问题",
    "limit": "数量",
}
"""As a request calls them; others stay as they are."""
