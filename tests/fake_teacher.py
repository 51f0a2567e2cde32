"""A teacher of the project's own for tests: returns a competent answer to a chat completion's body.

Its articles are put together from sentences whose facts it can find again, so it remembers
nothing: equal requests get equal answers, in any process. It knows its sentences in English,
zh-TW and zh-CN; of other people's texts it labels numbers and words it can point at.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from functools import cache
from itertools import pairwise
from typing import NamedTuple

from etlch.core.records import Json
from etlch.tasks import find_task

_SLOT = re.compile(r"\{(\w+)\}")


class Sentence(NamedTuple):
    """A sentence with slots, the triple it states, and the fields that it answers (field → slot)."""

    text: str
    triple: tuple[str, str, str]
    fields: dict[str, str]


class Known(NamedTuple):
    """What was found in an article: (type, mention), triples, and (field, value)."""

    entities: list[tuple[str, str]]
    triples: list[tuple[str, str, str]]
    values: list[tuple[str, str]]


_TYPES = {
    "en": ("Person", "Organization", "Location", "Date", "Amount", "Product", "Event"),
    "zh-TW": ("人物", "組織", "地點", "日期", "金額", "產品", "事件"),
    "zh-CN": ("人物", "组织", "地点", "日期", "金额", "产品", "事件"),
}
_SLOTS = ("person", "org", "place", "date", "amount", "product", "event")

_EN = {
    "person": r"(?:Anna|Boris|Clara|David|Elena|Frank|Grace|Hugo|Irene|Jonas|Karin|Louis)"
    r" (?:Keller|Moreno|Novak|Olsen|Parker|Quinn|Rossi|Sato|Turner|Ullman|Vargas|Weiss)",
    "org": r"(?:Northgate|Bluewater|Redwood|Silverline|Easton|Fairhaven|Graystone|Highfield)"
    r" (?:Institute|Foundation|Laboratories|Council|Press|Motors)",
    "place": r"(?:Lisbon|Oslo|Kyoto|Denver|Quebec|Geneva|Cardiff|Nairobi|Tallinn|Utrecht|Hobart|Leipzig)",
    "date": r"(?:2|5|8|11|19|23|27) (?:January|March|April|June|July|September|October|December) (?:19|20)\d\d",
    "amount": r"\$\d{1,3}\.\d million",
    "product": r"(?:Orion|Vega|Lyra|Atlas|Juno|Helix)-\d{3}",
    "event": r"(?:Harbour|Summer|Polar|Granite|Lantern|Meadow) (?:Forum|Congress|Regatta|Biennale) (?:19|20)\d\d",
}
_TW = {
    "person": r"[王李張陳林黃吳周蔡許][志美淑建文雅家宗怡冠][明華芬宏玲豪君軒慧廷]",
    "org": r"(?:遠山|青禾|海岳|晨光|北辰|金穗|雲嶺|長河)(?:研究院|基金會|電子公司|出版社|工業公司)",
    "place": r"(?:新竹|臺南|花蓮|嘉義|基隆|宜蘭|屏東|苗栗|澎湖|臺東)",
    "date": r"(?:19|20)\d\d年(?:1|3|4|6|7|9|10|12)月(?:2|5|8|11|19|23|27)日",
    "amount": r"新臺幣\d{1,4}萬元",
    "product": r"(?:天樞|玉衡|開陽|搖光|天璇)-\d{3}",
    "event": r"(?:港灣|夏至|極光|花崗|燈籠)(?:論壇|博覽會|競賽|雙年展)",
}
_EN_SENTENCES = (
    (
        "{person} founded {org} on {date}.",
        ("person", "founded", "org"),
        {"founder": "person", "founding_date": "date"},
    ),
    (
        "For the {product} project, {org} paid {amount}.",
        ("org", "paid for", "product"),
        {"project_cost": "amount", "project": "product"},
    ),
    (
        "The {event} opened in {place} on {date}.",
        ("event", "opened in", "place"),
        {"event_place": "place", "event_date": "date"},
    ),
    (
        "{person} showed {product} to guests of the {event}.",
        ("person", "showed", "product"),
        {"presenter": "person", "exhibit": "product"},
    ),
    (
        "{org} runs a branch in {place}, led by {person}.",
        ("person", "leads", "org"),
        {"branch_head": "person", "branch_place": "place"},
    ),
    (
        "On {date}, {org} announced {product}.",
        ("org", "announced", "product"),
        {"announced_product": "product", "announcement_date": "date"},
    ),
    (
        "A gift of {amount} from {person} helped {org}.",
        ("person", "helped", "org"),
        {"donor": "person", "gift": "amount"},
    ),
    (
        "{person} was born in {place} and moved to {place} later.",
        ("person", "born in", "place"),
        {"birthplace": "place", "native": "person"},
    ),
    (
        "Tickets for the {event} brought in {amount}.",
        ("event", "brought in", "amount"),
        {"ticket_income": "amount", "ticketed_event": "event"},
    ),
    (
        "{product} is built in {place} by {org}.",
        ("org", "builds", "product"),
        {"builder": "org", "factory_place": "place"},
    ),
)
_TW_SENTENCES = (
    (
        "{person}於{date}創立{org}。",
        ("person", "創立", "org"),
        {"創辦人": "person", "創立日期": "date"},
    ),
    (
        "為了{product}計畫，{org}支付了{amount}。",
        ("org", "出資", "product"),
        {"計畫經費": "amount", "計畫名稱": "product"},
    ),
    (
        "{event}於{date}在{place}揭幕。",
        ("event", "揭幕於", "place"),
        {"活動地點": "place", "活動日期": "date"},
    ),
    (
        "{person}在{event}上展示了{product}。",
        ("person", "展示", "product"),
        {"展示者": "person", "展品": "product"},
    ),
    (
        "{org}在{place}設有分處，由{person}主持。",
        ("person", "主持", "org"),
        {"分處主管": "person", "分處地點": "place"},
    ),
    (
        "{date}，{org}發表{product}。",
        ("org", "發表", "product"),
        {"發表產品": "product", "發表日期": "date"},
    ),
    (
        "{person}捐出{amount}支持{org}。",
        ("person", "支持", "org"),
        {"捐助者": "person", "捐款": "amount"},
    ),
    (
        "{person}出生於{place}，後來遷居他處。",
        ("person", "出生於", "place"),
        {"出生地": "place", "當事人": "person"},
    ),
    (
        "{event}的門票收入達{amount}。",
        ("event", "收入達", "amount"),
        {"門票收入": "amount", "售票活動": "event"},
    ),
    (
        "{product}由{org}在{place}製造。",
        ("org", "製造", "product"),
        {"製造者": "org", "工廠地點": "place"},
    ),
)
_FILLERS = {
    "en": (
        "Nobody expected much of the morning.",
        "The weather kept changing all week.",
        "Neighbours still talk about it over coffee.",
        "Much of this took longer than planned.",
        "Opinions differ on whether it was worth the effort.",
        "The rooms were small and the light was poor.",
        "Some visitors only came for the music.",
        "It was not the first attempt of its kind.",
    ),
    "zh-TW": (
        "起初沒有人抱太大的期望。",
        "那一週的天氣一直不穩定。",
        "鄰居至今仍會聊起這件事。",
        "許多工作比預期花了更久。",
        "是否值得，各方看法不一。",
        "房間不大，光線也不好。",
        "有些訪客只是為了音樂而來。",
        "這並不是同類嘗試中的第一次。",
    ),
}
_ABSENT = {
    "en": ("insurance_number", "chief_rival"),
    "zh-TW": ("保險單號", "主要對手"),
    "zh-CN": ("保险单号", "主要对手"),
}
_SIMPLIFIED = str.maketrans(
    "於創為計畫經費開陽搖華張陳黃吳許軒達門錢億萬幣臺義蓮東遠雲嶺長電業會製廠發產賽論壇覽競極燈籠雙後來遷處設與資這嘗試並類樂訪鄰個對間線場週氣穩預價辦樞崗沒動點稱當",
    "于创为计划经费开阳摇华张陈黄吴许轩达门钱亿万币台义莲东远云岭长电业会制厂发产赛论坛览竞极灯笼双后来迁处设与资这尝试并类乐访邻个对间线场周气稳预价办枢岗没动点称当",
)


def _simple(text: str) -> str:
    return text.translate(_SIMPLIFIED)


@cache
def _vocabulary(language: str) -> dict[str, str]:
    if language == "en":
        return _EN
    return _TW if language == "zh-TW" else {slot: _simple(words) for slot, words in _TW.items()}


@cache
def _sentences(language: str) -> tuple[Sentence, ...]:
    raw = _EN_SENTENCES if language == "en" else _TW_SENTENCES
    known = tuple(Sentence(*item) for item in raw)
    if language != "zh-CN":
        return known
    return tuple(
        Sentence(
            _simple(text),
            (triple[0], _simple(triple[1]), triple[2]),
            {_simple(f): s for f, s in fields.items()},
        )
        for text, triple, fields in known
    )


@cache
def _pattern(sentence: str, language: str) -> re.Pattern[str]:
    """The sentence as a regular expression; a slot's second use gets a number: place, place2."""
    seen: dict[str, int] = {}

    def slot(match: re.Match[str]) -> str:
        name = match.group(1)
        seen[name] = seen.get(name, 0) + 1
        group = name if seen[name] == 1 else f"{name}{seen[name]}"
        return f"(?P<{group}>{_vocabulary(language)[name]})"

    escaped = re.sub(r"\\([{}])", r"\1", re.escape(sentence))
    return re.compile(_SLOT.sub(slot, escaped))


def _draw(pattern: str, rng: random.Random) -> str:
    """Draw a text that a pattern of this file matches."""
    text = re.sub(r"\(\?:([^()]*)\)", lambda m: rng.choice(m.group(1).split("|")), pattern)
    text = re.sub(r"\[([^\]]+)\]", lambda m: rng.choice(m.group(1)), text)

    def digits(match: re.Match[str]) -> str:
        low, _, high = (match.group(1) or "1").partition(",")
        count = rng.randint(int(low), int(high or low))
        return str(rng.randint(1, 9)) + "".join(str(rng.randint(0, 9)) for _ in range(count - 1))

    return re.sub(r"\\d(?:\{([\d,]+)\})?", digits, text).replace("\\", "")


def write_article(prompt: str, language: str, seed: int, padding: int = 0) -> str:
    """Return an article of six stated facts and four sentences that state none, in drawn order.

    Args:
        prompt: what was asked; equal prompts and seeds give equal articles.
        language: one of LANGUAGES.
        seed: the request's.
        padding: sentences of made-up words besides, ten words each, to make long articles.
    """
    rng = random.Random(hashlib.sha256(f"{prompt}/{seed}".encode()).hexdigest())
    words = _vocabulary(language)
    parts = [
        _SLOT.sub(lambda m: _draw(words[m.group(1)], rng), sentence.text)
        for sentence in rng.sample(_sentences(language), 6)
    ]
    fillers = _FILLERS["en" if language == "en" else "zh-TW"]
    parts += [text if language != "zh-CN" else _simple(text) for text in rng.sample(fillers, 4)]
    parts += [_made_up(rng, language) for _ in range(padding)]
    rng.shuffle(parts)
    return (" " if language == "en" else "").join(parts)


def _made_up(rng: random.Random, language: str) -> str:
    if language != "en":
        return "".join(chr(rng.randint(0x5000, 0x8000)) for _ in range(20)) + "。"
    words = ["".join(rng.choice("bdfgklmnprst") + rng.choice("aeiou") for _ in range(3)) for _ in range(10)]
    return " ".join(words).capitalize() + "."


def read_article(article: str, language: str) -> Known:
    """Return the facts of an article of this teacher; of another text, what can be pointed at."""
    known = Known([], [], [])
    for sentence in _sentences(language):
        for match in _pattern(sentence.text, language).finditer(article):
            parts = match.groupdict()
            for name, value in parts.items():
                known.entities.append((_TYPES[language][_SLOTS.index(name.rstrip("2"))], value))
            known.triples.append((parts[sentence.triple[0]], sentence.triple[1], parts[sentence.triple[2]]))
            known.values.extend((field, parts[slot]) for field, slot in sentence.fields.items())
    return known if known.entities else _point_at(article, language)


def _point_at(article: str, language: str) -> Known:
    words = re.findall(r"[A-Z][a-z]+|\d+|[\u4e00-\u9fff]{2,4}", article)[:6] or [article.strip()[:4]]
    other = {"en": "Other", "zh-TW": "其他", "zh-CN": "其他"}[language]
    field = {"en": "term", "zh-TW": "詞語", "zh-CN": "词语"}[language]
    pairs = [(left, "with" if language == "en" else "與", right) for left, right in pairwise(words)]
    return Known(
        [(other, word) for word in words],
        pairs or [(words[0], "is", words[0])],
        [(field, word) for word in words],
    )


def language_of(text: str) -> str:
    """Tell a prompt's language by the words that every prompt of it has."""
    if "請" in text or "體" in text:
        return "zh-TW"
    return "zh-CN" if re.search(r"[请这为体]", text) else "en"


def reply(body: Json, padding: int = 0) -> str:
    """Return the answer's text to a chat completion's body. padding: see write_article."""
    texts = [message["content"] for message in body["messages"] if message["role"] == "user"]
    prompt = "\n".join(texts)
    language = language_of(prompt)
    seed = int(body.get("seed") or 0)
    article = re.search(r"<article>\n(.*)\n</article>", prompt, re.DOTALL)
    schema = _schema(body, prompt)
    if article is None:
        if schema is None and not re.search(
            r"NER|named entity|knowledge graph|知[識识][圖图][譜谱]|flat JSON|JSON [物对]", prompt
        ):
            return write_article(prompt, language, seed, padding)
        return _predict(prompt, language)
    known = read_article(article.group(1), language)
    return json.dumps(_answer(schema or {}, known, prompt, language), ensure_ascii=False)


def _schema(body: Json, prompt: str) -> Json:
    schema = (body.get("response_format") or {}).get("json_schema", {}).get("schema")
    if schema is not None:
        return schema
    _, found, rest = prompt.partition("JSON Schema:\n")
    return json.JSONDecoder().raw_decode(rest)[0] if found else None


def _answer(schema: Json, known: Known, prompt: str, language: str) -> Json:
    properties = schema.get("properties", {})
    if "entities" in properties:
        return {"entities": [{"type": kind, "mention": value} for kind, value in known.entities]}
    if "triples" in properties:
        return {
            "triples": [dict(zip(("subject", "relation", "object"), t, strict=True)) for t in known.triples]
        }
    if "fields" in properties:
        numbers = re.search(r'"fields"\D*(\d+)', prompt)
        count = int(numbers.group(1)) if numbers else 3
        names = list(dict.fromkeys(field for field, _ in known.values))
        chosen = random.Random(prompt).sample(names, min(count, len(names)))
        told = {"en": "Extract the facts that the fields name.", "zh-TW": "請擷取各欄位所指的事實。"}
        return {
            "instruction": told.get(language, "请抽取各字段所指的事实。"),
            "fields": [*chosen, *_ABSENT[language][: len(prompt) % 3]],
        }
    return {name: [v for field, v in known.values if field == name] for name in properties}


def _predict(prompt: str, language: str) -> str:
    """Answer a record's instruction as a well-tuned model would, with the label's own text."""
    known = read_article(prompt, language)
    if "NER" in prompt:
        return find_task("ner").render(known.entities, _TYPES[language], language)
    if re.search(r"knowledge graph|知[識识][圖图][譜谱]", prompt):
        return find_task("kge").render(known.triples, (), language)
    listed = re.search(r"(?:exactly these keys: |[鍵键]恰[為为]：)([^。.]*)[。.]", prompt)
    names = re.findall(r'[^",、\s][^",、]*', listed.group(1)) if listed else []
    return json.dumps({name: [v for f, v in known.values if f == name] for name in names}, ensure_ascii=False)
