"""What there is to load: the course's own texts, and the public sets it measures on."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Entry:
    """One data set.

    ``files`` maps a split to its file below the embedded folder, or below ``CLT_DATA``; ``columns`` are what
    :func:`clt.data.load` returns, wherever the set came from. Other names for them, in the files or on the hub, stand
    in ``file_columns`` and ``hub_columns``; the hub's names of splits in ``hub_splits``. ``revision`` pins the hub's
    state where it is known. Without ``hub`` there is no copy there that we can vouch for.
    """

    name: str
    about: str
    columns: tuple[str, ...]
    files: Mapping[str, str]
    licence: str
    citation: str
    hub: str | None = None
    hub_config: str | None = None
    hub_files: Mapping[str, str] | None = None
    file_columns: Mapping[str, str] = field(default_factory=dict)
    hub_columns: Mapping[str, str] = field(default_factory=dict)
    hub_splits: Mapping[str, str] = field(default_factory=dict)
    revision: str | None = None
    label_names: tuple[str, ...] | None = None  # for hub sets that store labels as bare numbers
    embedded: bool = False


def _own(
    name: str, about: str, columns: tuple[str, ...], suffix: str, splits: tuple[str, ...] = ("train", "dev", "test")
) -> Entry:
    files = {split: f"{name}/{split}.{suffix}" for split in splits}
    return Entry(name, about, columns, files, "CC BY 4.0", "The clt authors (2026). See data/README.md.", embedded=True)


PAIR = ("sentence1", "sentence2", "score")
WORDS = {"word1": "sentence1", "word2": "sentence2"}  # pairs of words are scored as pairs of sentences are
NLI = ("premise", "hypothesis", "label")
NLI_NAMES = ("entailment", "neutral", "contradiction")
DAILY, DAILY_BY = "CC BY-NC-SA 4.0 for the conversations", "Sai et al. (2020), TACL; conversations of Li et al. (2017)"
SCIFACT, SCIFACT_BY = "CC BY 4.0; abstracts ODC-By", "Wadden et al. (2020), EMNLP; Thakur et al. (2021), NeurIPS"
MIXED = "no single licence: news, captions and forums, each under its own terms; research use"


def _sts(year: str, revision: str, citation: str, files: Mapping[str, str]) -> Entry:
    return Entry(
        f"STS{year}", f"Semantic textual similarity 20{year}: pairs scored 0 to 5 by people", PAIR, files, MIXED,
        citation, hub=f"mteb/sts{year}-sts", revision=revision,
    )  # fmt: skip


def _lexicon(language: str, code: str) -> Entry:
    return Entry(
        f"XLING-{language}", f"English words and their translations into {language}", ("english", language.lower()),
        {"train": f"BLI-XLING/en-{code}.train_5k.csv", "test": f"BLI-XLING/en-{code}.test_2k.csv"}, "none stated",
        "Glavaš et al. (2019), ACL", file_columns={"source": "english", "target": language.lower()},
    )  # fmt: skip


EMBEDDED = (
    _own("sts", "1,800 sentence pairs, scored by a language model from 0 to 5", (*PAIR, "topic"), "csv"),
    _own("nli", "2,500 premises, each entailed, neutral and contradicted", ("premise", *NLI_NAMES, "topic"), "csv"),
    _own("emotions", "3,200 situations in the first person with one of 32 emotions", ("text", "label"), "csv"),
    _own("stories", "200 stories of six sentences", ("title", "topic", "sentences"), "jsonl"),
    _own("dialogues", "200 dialogues of six turns", ("topic", "turns"), "jsonl"),
    _own("twins", "400 sentences, each with a paraphrase and a subtle change of meaning",
         ("sentence", "paraphrase", "changed", "change", "topic"), "csv"),
    _own("everyday", "6,000 sentences without labels: captions, headlines, questions, chat, instructions, reviews",
         ("text", "kind"), "csv", ("train",)),
    _own("passages", "500 passages of two or three sentences on everyday life and science, five to a topic",
         ("id", "topic", "passage"), "csv"),
    _own("questions", "1,000 questions, two for each passage, and which passages answer them or are related",
         ("question", "kind", "topic", "answers"), "jsonl"),
    _own("scenes", "100 captions written by hand for pictures of coloured shapes, and what to draw for each",
         ("caption", "things"), "jsonl", ("test",)),
    _own("emoji", "1,200 short messages, each with the one of 16 emoji that it calls for", ("message", "emoji"), "csv"),
    _own("chinese", "1,406 sentences in Chinese: captions, headlines, questions, chat, instructions, reviews",
         ("text", "kind"), "csv", ("train",)),
    _own("chinese_sts", "300 pairs of Chinese sentences scored 0 to 5, with a gloss in English for each sentence",
         (*PAIR, "gloss1", "gloss2"), "csv", ("test",)),
    _own("translations", "500 sentences, each in English, German, French and Spanish",
         ("english", "german", "french", "spanish"), "csv", ("train", "test")),
)  # fmt: skip

PUBLIC = (
    _sts("12", "a0d554a64d88156834ff5ae9920b964011b16384", "Agirre et al. (2012), SemEval-2012 Task 6",
         {"train": "STS12/train.csv", "test": "STS12/test.csv"}),
    _sts("13", "7e90230a92c190f1bf69ae9002b8cea547a64cca", "Agirre et al. (2013), *SEM shared task",
         {"test": "STS13/test.csv"}),
    _sts("14", "6031580fec1f6af667f0bd2da0a551cf4f0b2375", "Agirre et al. (2014), SemEval-2014 Task 10",
         {"test": "STS14/test.csv"}),
    _sts("15", "ae752c7c21bf194d8b67fd573edf7ae58183cbe3", "Agirre et al. (2015), SemEval-2015 Task 2",
         {"test": "STS15/test.csv"}),
    _sts("16", "4d8694f8f0e0100860b497b999b3dbed754a0513", "Agirre et al. (2016), SemEval-2016 Task 1",
         {"test": "STS16/test.csv"}),
    Entry("STS-B", "STS benchmark: a selection of STS 2012 to 2017", PAIR,
          {split: f"STS-B/{split}.csv" for split in ("train", "dev", "test")},
          "CC BY-SA 4.0 for the compilation; some parts for research only",
          "Cer et al. (2017), SemEval-2017 Task 1", hub="mteb/stsbenchmark-sts", hub_splits={"dev": "validation"},
          revision="b0fddb56ed78048fa8b90373c8a3cfc37b684831"),
    Entry("SICK-R", "Sentences involving compositional knowledge, relatedness 1 to 5", PAIR,
          {"test": "SICK-R/test.csv"}, "CC BY-NC-SA 3.0", "Marelli et al. (2014), LREC", hub="mteb/sickr-sts",
          revision="20a6d6f312dd54037fe07a32d58e5e168867909d"),
    Entry("SimLex", "999 pairs of words, scored 0 to 10: how alike, not how related", PAIR,
          {"test": "WordSim/simlex999.csv"}, "free for research", "Hill, Reichart and Korhonen (2015), CL",
          file_columns=WORDS),
    Entry("MEN", "3,000 pairs of words, scored 0 to 50: how related", PAIR, {"test": "WordSim/men3000.csv"},
          "CC BY 2.0", "Bruni, Tran and Baroni (2014), JAIR", file_columns=WORDS),
    Entry("WordSim-353", "353 pairs of words, scored 0 to 10: how related", PAIR,
          {"test": "WordSim/wordsim353.csv"}, "CC BY 4.0", "Finkelstein et al. (2002), TOIS", file_columns=WORDS),
    Entry("STS-B-zh", "STS benchmark translated into Chinese, scored in whole numbers from 0 to 5", PAIR,
          {split: f"STS-B-zh/{split}.csv" for split in ("train", "dev", "test")}, "none stated",
          "Cer et al. (2017), SemEval-2017 Task 1; translation of the CNSD project", hub="C-MTEB/STSB",
          hub_splits={"dev": "validation"}),
    Entry("PAWS-X-zh", "Chinese sentences with nearly the same words: 1 for a paraphrase, else 0", PAIR,
          {split: f"PAWS-X-zh/{split}.csv" for split in ("dev", "test")}, "free for any purpose with acknowledgement",
          "Yang et al. (2019), EMNLP", hub="google-research-datasets/paws-x", hub_config="zh",
          hub_splits={"dev": "validation"}, file_columns={"label": "score"}, hub_columns={"label": "score"}),
    *(_lexicon(language, code) for language, code in {"German": "de", "French": "fr"}.items()),
    Entry("SNLI", "Stanford natural language inference: captions and hypotheses", NLI,
          {"train": "SNLI/train_18k.csv", "dev": "SNLI/dev.csv", "test": "SNLI/test.csv"}, "CC BY-SA 4.0",
          "Bowman et al. (2015), EMNLP", hub="stanfordnlp/snli", hub_splits={"dev": "validation"},
          label_names=NLI_NAMES),
    Entry("MNLI", "Multi-genre natural language inference", NLI,
          {"train": "MNLI/train_10k.csv", "dev": "MNLI/validation.csv"},
          "OANC, CC BY 3.0, CC BY-SA 3.0 and public domain, by genre", "Williams et al. (2018), NAACL",
          hub="nyu-mll/multi_nli", hub_splits={"dev": "validation_matched"}, label_names=NLI_NAMES),
    Entry("NLI-triplets", "Premise, entailed and contradicting hypothesis: SimCSE's supervised training text",
          ("anchor", "positive", "hard_negative"),
          {"train": "NLI-triplets/train.csv", "test": "NLI-triplets/test.csv"}, "as SNLI and MNLI",
          "Gao, Yao and Chen (2021), EMNLP", hub="princeton-nlp/datasets-for-simcse",
          hub_files={"train": "nli_for_simcse.csv"},
          hub_columns={"sent0": "anchor", "sent1": "positive", "hard_neg": "hard_negative"}),
    Entry("EmpatheticDialogues", "Situations in the first person with one of 32 emotions", ("text", "label"),
          {split: f"EmpatheticDialogues/{split}.csv" for split in ("train", "dev", "test")}, "CC BY-NC 4.0",
          "Rashkin et al. (2019), ACL; split of Suresh and Ong (2021), EMNLP", hub="facebook/empathetic_dialogues",
          hub_columns={"prompt": "text", "context": "label"}, hub_splits={"dev": "validation"},
          revision="refs/convert/parquet"),
    Entry("GoEmotions", "Reddit comments with any of 28 emotions; several are joined with a bar", ("text", "labels"),
          {split: f"GoEmotions/{split}.csv" for split in ("train", "dev", "test")}, "Apache-2.0",
          "Demszky et al. (2020), ACL", hub="google-research-datasets/go_emotions", hub_config="simplified",
          hub_splits={"dev": "validation"}),
    Entry("ISEAR", "Situations in which people felt one of seven emotions", ("text", "label"),
          {split: f"ISEAR/{split}.csv" for split in ("train", "dev", "test")}, "free for research",
          "Scherer and Wallbott (1994), Journal of Personality and Social Psychology 66"),
    Entry("EmoInt", "Tweets with one of four emotions", ("text", "label"),
          {split: f"EmoInt/{split}.csv" for split in ("train", "dev", "test")}, "free for research",
          "Mohammad and Bravo-Marquez (2017), WASSA"),
    Entry("SST-2", "Sentences from film reviews, positive or negative", ("text", "label"),
          {split: f"SST-2/{split}.csv" for split in ("train", "dev", "test")}, "none stated; free for research",
          "Socher et al. (2013), EMNLP", hub="stanfordnlp/sst2", hub_columns={"sentence": "text"},
          hub_splits={"dev": "validation"}, label_names=("negative", "positive")),
    Entry("SST-5", "Sentences from film reviews on five levels, from very negative to very positive", ("text", "label"),
          {split: f"SST-5/{split}.csv" for split in ("train", "dev", "test")}, "none stated; free for research",
          "Socher et al. (2013), EMNLP", hub="SetFit/sst5", hub_splits={"dev": "validation"},
          file_columns={"label_name": "label"}, hub_columns={"label_text": "label"}),
    Entry("Banking77", "What customers of a bank ask, each with one of 77 intents", ("text", "label"),
          {split: f"Banking77/{split}.csv" for split in ("train", "test")}, "CC BY 4.0",
          "Casanueva et al. (2020), NLP4ConvAI"),
    Entry("WikiText-103", "Good and featured articles of Wikipedia, a line each", ("text",),
          {split: f"WikiText-103/{split}.txt" for split in ("train", "dev", "test")}, "CC BY-SA 3.0",
          "Merity et al. (2017), ICLR", hub="Salesforce/wikitext", hub_config="wikitext-103-raw-v1",
          hub_splits={"dev": "validation"}),
    Entry("Wikipedia-sentences", "A million sentences of English Wikipedia, one a line", ("text",),
          {"train": "Wikipedia-2014/sentences_train_1m.txt.gz", "dev": "Wikipedia-2014/sentences_valid_10k.txt"},
          "CC BY-SA 3.0", "Wikipedia contributors; the hub's sample is that of Gao, Yao and Chen (2021), EMNLP",
          hub="princeton-nlp/datasets-for-simcse", hub_files={"train": "wiki1m_for_simcse.txt"}),
    Entry("DailyDialog++", "The last turns of a conversation, and replies that people wrote to them",
          ("context", "positives"),
          {"train": "DailyDialog++/positives_all.jsonl", "dev": "DailyDialog++/dev.jsonl",
           "test": "DailyDialog++/test.jsonl"}, DAILY, DAILY_BY),
    Entry("DailyDialog++-choices", "The same with replies that do not fit: five random ones, and five that share words",
          ("context", "positives", "random_negatives", "adversarial_negatives"),
          {"dev": "DailyDialog++/dev.jsonl", "test": "DailyDialog++/test.jsonl"}, DAILY, DAILY_BY),
    Entry("SciFact", "Abstracts of scientific papers, to search in", ("id", "title", "text"),
          {"corpus": "SciFact/corpus.jsonl.gz"}, SCIFACT, SCIFACT_BY, hub="BeIR/scifact", hub_config="corpus",
          hub_columns={"_id": "id"}),
    Entry("SciFact-queries", "Scientific claims; on the hub the 1,109 of both splits together", ("id", "text"),
          {"train": "SciFact/queries_train.jsonl", "test": "SciFact/queries_test.jsonl"}, SCIFACT, SCIFACT_BY,
          hub="BeIR/scifact", hub_config="queries", hub_columns={"_id": "id"},
          hub_splits={"train": "queries", "test": "queries"}),
    Entry("SciFact-qrels", "Which abstract decides which claim", ("query_id", "doc_id", "relevance"),
          {"train": "SciFact/qrels_train.csv", "test": "SciFact/qrels_test.csv"}, SCIFACT, SCIFACT_BY,
          hub="BeIR/scifact-qrels", hub_columns={"query-id": "query_id", "corpus-id": "doc_id", "score": "relevance"}),
)  # fmt: skip

# Embedded sets in other languages than English: `data.sentences()` gives them to those alone who name them.
OTHER_LANGUAGES = ("chinese", "chinese_sts", "translations")
CATALOGUE = {entry.name: entry for entry in (*EMBEDDED, *PUBLIC)}
