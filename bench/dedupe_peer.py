# The other side of bench/dedupe.mjs: the dedupe of the published pipelines with rouge_score, one process, no pool.
#   python dedupe_peer.py verdicts.json first sample
# verdicts.json: {texts, rows: [[duplicate, nearest scores, mean]]} of our side. Two things are measured:
#   all of the first `first` texts, decision by decision, nearest and mean included;
#   `sample` texts spread evenly over the rest, each against what was in before it, to estimate the whole run.
# Stanford Alpaca scores ready tokens (`_score_lcs`), Self-Instruct whole texts (`score`); both are timed, on processor time.
import json
import sys
import time

from rouge_score import rouge_scorer
from rouge_score.tokenize import tokenize

data = json.load(open(sys.argv[1]))
first, sample = int(sys.argv[2]), int(sys.argv[3])
texts, rows = data["texts"], data["rows"]
scorer = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=False)
wrong = []


def compare(i, scores):
    """Against our verdict: the same decision, nearest scores equal bit by bit, the mean to 1e-12."""
    duplicate, nearest, mean = rows[i]
    if duplicate != int(bool(scores) and max(scores) > 0.7):
        wrong.append([i, "decision"])
    best = [s for s in sorted(scores, reverse=True)[:1 if duplicate else 10] if s > 0]
    if nearest != best:
        wrong.append([i, "nearest"])
    if not duplicate and scores and abs(mean - sum(scores) / len(scores)) > 1e-12:
        wrong.append([i, "mean"])


def by_tokens(tokens, held):
    return [s.fmeasure for s in [rouge_scorer._score_lcs(tokens, other) for other in held]]


held, pairs = [], 0
began = time.process_time()
for i in range(first):
    tokens = tokenize(texts[i], None)
    scores = by_tokens(tokens, held)
    pairs += len(scores)
    compare(i, scores)
    if not (scores and max(scores) > 0.7):
        held.append(tokens)
first_seconds = time.process_time() - began

# What was in before each text, by our decisions, which the first part has checked.
accepted = [i for i, row in enumerate(rows) if not row[0]]
tokens_of = [tokenize(texts[i], None) for i in accepted]
token_seconds = text_seconds = 0.0
sample_pairs = text_pairs = 0
for k in range(sample):
    i = int((k + 0.5) * len(texts) / sample)
    before = sum(1 for a in accepted if a < i)
    began = time.process_time()
    scores = by_tokens(tokenize(texts[i], None), tokens_of[:before])
    token_seconds += time.process_time() - began
    sample_pairs += before
    compare(i, scores)
    part = accepted[:before][:: max(1, before // 200)]
    began = time.process_time()
    for a in part:
        scorer.score(texts[i], texts[a])
    text_seconds += (time.process_time() - began) * before / max(1, len(part))
    text_pairs += len(part)

print(json.dumps({
    "checked": first, "checked_pairs": pairs, "checked_cpu_seconds": first_seconds,
    "sampled": sample, "sampled_pairs": sample_pairs, "microseconds_a_pair": token_seconds / sample_pairs * 1e6,
    "estimate_cpu_seconds": token_seconds / sample * len(texts),
    "estimate_score_cpu_seconds": text_seconds / sample * len(texts),
    "wrong": wrong,
}))
