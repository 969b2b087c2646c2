#!/usr/bin/env python3
"""Breaks the line of each option once and says which test caught it.

  mutations.py                 every mutation; about 20 s each on 2 cores
  mutations.py rope softcap    those whose option begins with one of the words
  mutations.py --check         only that every text stands once in its file

Works on HEAD in a git worktree of its own with its own build folder, both gone
afterwards unless --keep FOLDER names a place to keep them for the next time. The
programs run one after another until one fails. Prints a Markdown table; exits
with 1 if a mutation survived. On demand only; tests/run does --check.
"""

import argparse
import collections
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import repository

Mutation = collections.namedtuple("Mutation", "option what file text replacement")

A = "core/attention/"
TABLE = [Mutation(option, what, file, text, replacement) for option, what, file, text, replacement in [
    ("scale", "default 1/d", A + "validate.cc", "1.0 / std::sqrt(static_cast<double>(head_dim))",
     "1.0 / static_cast<double>(head_dim)"),
    ("scale", "log4 e lost", A + "score_stage.cc", "p_.scale * kLog4E", "p_.scale"),
    ("scale", "ignored (f64)", A + "f64_kernel.cc", "p_.scale * Dot(query", "Dot(query"),
    ("causal", "last row of a strip left out", A + "row_tile.cc", "while (to > from && !sees(to[-1])) --to;", "--to;"),
    ("causal", "one key more", A + "key_range.cc", "std::min(last, position + 1)", "std::min(last, position + 2)"),
    ("causal top-left", "offset 1", A + "attention_plan.cc", "      return past_len;", "      return past_len + 1;"),
    ("causal bottom-right", "as top-left", A + "attention_plan.cc",
     "kBottomRight:\n      return KvLength(b) - geometry.q_len;", "kBottomRight:\n      return 0;"),
    ("causal bottom-right", "of kv_len, not kv_lengths", A + "attention_plan.cc",
     "kBottomRight:\n      return KvLength(b)", "kBottomRight:\n      return geometry.kv_len"),
    ("causal_offset", "ignored", A + "attention_plan.cc",
     "if (params.causal_offset.has_value()) return *params.causal_offset;", ""),
    ("left_window", "one key less", A + "key_range.cc", "position - *left_window;", "position - *left_window + 1;"),
    ("left_window", "ignored", A + "attention_plan.cc", ".left_window = params.left_window,", ""),
    ("right_window", "one key less", A + "key_range.cc", "position + *right_window + 1", "position + *right_window"),
    ("softcap", "not scaled back", A + "score_ops.cc", "hn::Mul(caps, hn::Tanh(tag, hn::Div(score, caps)))",
     "hn::Tanh(tag, hn::Div(score, caps))"),
    ("softcap", "linear too far", A + "score_ops.cc", "cap * 0x1p-12f", "cap * 0x1p-3f"),
    ("softcap", "after the bias", A + "score_stage.cc",
     "    Cap(row, num_keys);\n    BiasRow(ranges[r], r, first_key, num_keys, row);",
     "    BiasRow(ranges[r], r, first_key, num_keys, row);\n    Cap(row, num_keys);"),
    ("softcap", "not scaled back (f64)", A + "f64_kernel.cc", "cap * std::tanh(", "std::tanh("),
    ("alibi", "distance turned round", A + "score_stage.cc", "static_cast<double>(first_key) - position",
     "position - static_cast<double>(first_key)"),
    ("alibi", "slope of head 0", A + "score_stage.cc", "p_.alibi_slopes[p_.HeadOf(folded)]", "p_.alibi_slopes[0]"),
    ("alibi", "slopes of KV head 0", A + "problem.cc", "values.data() + first_head", "values.data()"),
    ("alibi", "distance turned round (f64)", A + "f64_kernel.cc", "(static_cast<double>(key) - position)",
     "(position - static_cast<double>(key))"),
    ("mask bool", "turned round", A + "score_ops.cc", "hn::Eq(wide, hn::Zero(ints))", "hn::Ne(wide, hn::Zero(ints))"),
    ("mask bool", "turned round (f64)", A + "f64_kernel.cc", "element[0] != std::byte{0} ? 0.0", "element[0] == std::byte{0} ? 0.0"),
    ("mask float", "not added", A + "score_ops.cc", "hn::Add(score, biases));", "score);"),
    ("mask float", "-inf added, not selected", A + "score_ops.cc",
     "hn::IfThenElse(hn::Eq(biases, minus_infinity), minus_infinity,", "hn::IfThenElse(hn::Eq(biases, biases), hn::Add(score, biases),"),
    ("mask float", "not added (f64)", A + "f64_kernel.cc", "bias + MaskAt(r, key)", "MaskAt(r, key)"),
    ("mask broadcast", "last axis of 1 read on", A + "score_stage.cc", "if (p_.mask.strides.key == 0) {", "if (false) {"),
    ("mask broadcast", "stride of an axis of 1", A + "validate_tensors.cc", "if (dim != 1) strides[", "strides["),
    ("mask broadcast", "batch of 0", A + "problem.cc", "b * strides.batch + first_head", "first_head"),
    ("mask broadcast", "head of 0", A + "problem.cc", "strides.batch + first_head * strides.head;", "strides.batch;"),
    ("mask short", "rest allowed", A + "attention_plan.cc", "std::min(KvLength(b), mask_kv_len)", "KvLength(b)"),
    ("kv_lengths", "ignored", A + "attention_plan.cc", "std::min(KvLength(b), mask_kv_len)", "mask_kv_len"),
    ("kv_lengths", "offset of CAUSAL_NONE 0", A + "attention_plan.cc", "kv_lengths.empty() ? past_len :", "true ? past_len :"),
    ("sinks", "not in the denominator", A + "row_tile.cc", "sum_[r] * keys_share + Exp4(sink - max)", "sum_[r] * keys_share"),
    ("sinks", "of head 0", A + "row_tile.cc", "sinks[member.HeadOf(r)]", "sinks[0]"),
    ("sinks", "natural, not base 4", A + "row_tile.cc", "sinks[member.HeadOf(r)] * kLog4E", "sinks[member.HeadOf(r)]"),
    ("sinks", "not in the denominator (f64)", A + "f64_kernel.cc", "double sum = std::exp(sink - max);", "double sum = 0;"),
    ("GQA", "first head of the group", A + "problem.cc", "kv_head * g.group_size()", "kv_head"),
    ("GQA", "folding of heads", A + "problem.h", "return folded_row % group_size;", "return folded_row / q_len;"),
    ("layout", "rows of BSHD", A + "problem.cc", "heads_first ? form.dim : form.heads * form.dim", "form.dim"),
    ("layout", "heads of BSHD", A + "problem.cc", "heads_first ? form.length * form.dim : form.dim", "form.length * form.dim"),
    ("lse", "base 4", A + "row_tile.cc", "max * kLn4", "max"),
    ("lse", "without the sink", A + "row_tile.cc", "std::log(total)", "std::log(sum_[r])"),
    ("lse", "without the maximum (f64)", A + "f64_kernel.cc", "return max + std::log(sum);", "return std::log(sum);"),
    ("weights raw", "after softcap", A + "row_tile.cc",
     "write_at(WeightsMode::kRawScores);\n  stage.Cap(scores, num_keys);",
     "stage.Cap(scores, num_keys);\n  write_at(WeightsMode::kRawScores);"),
    ("weights raw", "only at seen keys", A + "row_tile.cc", "WalkAgain({0, p_.kv_len})", "WalkAgain(front().stage.seen())"),
    ("weights raw", "after softcap (f64)", A + "f64_kernel.cc",
     "WriteWeights(r, WeightsMode::kRawScores);\n  Cap(scores);", "Cap(scores);\n  WriteWeights(r, WeightsMode::kRawScores);"),
    ("weights softcapped", "after the bias", A + "row_tile.cc",
     "write_at(WeightsMode::kSoftcapped);\n  stage.BiasRow(ranges_[r], r, first_key, num_keys, scores);",
     "stage.BiasRow(ranges_[r], r, first_key, num_keys, scores);\n  write_at(WeightsMode::kSoftcapped);"),
    ("weights biased", "before the bias", A + "row_tile.cc",
     "stage.BiasRow(ranges_[r], r, first_key, num_keys, scores);\n  write_at(WeightsMode::kBiased);",
     "write_at(WeightsMode::kBiased);\n  stage.BiasRow(ranges_[r], r, first_key, num_keys, scores);"),
    ("weights probabilities", "not normalised", A + "row_tile.cc",
     "ProbabilitiesRow(scores, num_keys, FiniteMax(r), norm_[r])", "ProbabilitiesRow(scores, num_keys, FiniteMax(r), 1.0f)"),
    ("weights probabilities", "not normalised (f64)", A + "f64_kernel.cc", "*score /= sum;", "*score /= 1;"),
    ("top_k order", "smallest first", A + "top_keys.cc", "return scores_[a] < scores_[b];", "return scores_[a] > scores_[b];"),
    ("top_k order", "never full", A + "top_keys.cc", "if (score <= scores_[0]) continue;", "continue;"),
    ("top_k ties", "larger key first", A + "top_keys.cc", "return keys_[a] > keys_[b];", "return keys_[a] < keys_[b];"),
    ("top_k ties", "later one replaces", A + "top_keys.cc", "score <= scores_[0]", "score < scores_[0]"),
    ("top_k padding", "key 0", A + "top_keys.cc", "keys_[i] = -1;", "keys_[i] = 0;"),
    ("top_k padding", "forbidden keys listed", A + "top_keys.cc", "if (score == -kInfinity) continue;", ""),
    ("top_k padding", "NaN as a number", A + "top_keys.cc", "std::isnan(scores[j]) ? kInfinity : scores[j]", "scores[j]"),
    ("top_k tiles", "keys counted in the tile", A + "row_tile.cc", "Offer(scores, num_keys, first_key)", "Offer(scores, num_keys, 0)"),
    ("top_k tiles", "probabilities not normalised", A + "row_tile.cc", "ProbabilitiesRow(scores, k, FiniteMax(r), norm_[r])",
     "ProbabilitiesRow(scores, k, FiniteMax(r), 1.0f)"),
    ("rope half-split", "pairs neighbours", A + "rotation.cc", "values + (rotation.is_interleaved ? 1 : n)", "values + 1"),
    ("rope interleaved", "stride 1", A + "rotation.cc", "rotation.is_interleaved ? 2 : 1", "1"),
    ("rope", "turns the other way", A + "rotation.cc", "cos[i] * x - sin[i] * y", "cos[i] * x + sin[i] * y"),
    ("rope", "frequencies grow", A + "rope_frequencies.cc", "-2.0 * static_cast<double>(pair)", "2.0 * static_cast<double>(pair)"),
    ("rope", "keys do not turn", A + "problem.cc", "problem.key_rotation = KeyRotation(plan, buffers.rotation);", ""),
    ("rope", "keys turn as in the first tile", A + "pack.cc", "RotateRow(problem.key_rotation, first_key + j, row)",
     "RotateRow(problem.key_rotation, j, row)"),
    ("rope", "queries turn by the folded row", A + "pack.cc", "RotateRow(problem.query_rotation, row, target)",
     "RotateRow(problem.query_rotation, (r / problem.group_size + r) % problem.q_len, target)"),
    ("rope", "keys turn as in the first tile (f64)", A + "f64_kernel.cc", "RotateRow(p_.key_rotation, j, key)",
     "RotateRow(p_.key_rotation, j - first, key)"),
    ("rope scaling", "ignored", A + "validate_rope.cc", "plan.rope.scaling_factor = double{rope.scaling_factor};", ""),
    ("rope scaling", "multiplies", A + "rope_frequencies.cc", "plain / config.factor", "plain * config.factor"),
    ("rope positions", "of the query ignored", A + "rotation.cc", "filler.Row(rope.QueryPosition(row),", "filler.Row(row,"),
    ("rope positions", "of the keys ignored", A + "rotation.cc", "filler.Row(rope.KeyPosition(j),", "filler.Row(j,"),
    ("rope positions", "do not serve the keys", A + "validate_rope.cc", "plan.rope.key_positions = rope.positions;", ""),
    ("rope positions", "start of the block in f32", A + "rotation.cc", "TurnBy(start * frequencies_[i])",
     "TurnBy(static_cast<float>(start * frequencies_[i]))"),
    ("rope tables", "cos as sin", A + "rotation.cc", "CopyGiven(buffers_.given_sin,", "CopyGiven(buffers_.given_cos,"),
    ("rope tables", "rows of the wrong size", A + "rotation.cc", "position * n * ElementBytes", "position * 2 * ElementBytes"),
    ("rope partial", "all channels", A + "validate_rope.cc", "rope.rotary_dim == 0 ? head_dim : rope.rotary_dim", "head_dim"),
    ("dtype f16", "as bf16", "core/tensor/conversions.cc", "dtype == DataType::kF16) {\n    HWY_DYNAMIC_DISPATCH(F16Scaled)",
     "dtype == DataType::kF16) {\n    HWY_DYNAMIC_DISPATCH(BF16Scaled)"),
    ("dtype bf16", "ties away from zero", "core/tensor/conversions.cc", "hn::Add(parity, hn::Set(tag, 0x7fffu))", "hn::Set(tag, 0x8000u)"),
    ("dtype bf16", "truncated", "core/tensor/conversions.cc", "hn::Add(bits, hn::Add(parity, hn::Set(tag, 0x7fffu)))", "bits"),
    ("dtype f64", "rounded twice to 16 bits", "core/tensor/conversions.cc",
     "return std::bit_cast<float>(std::bit_cast<uint32_t>(truncated) | 1u);", "return nearest + 0 * truncated;"),
    ("dtype f64", "scores in f32", A + "f64_kernel.cc", "p_.scale * Dot(query, key, dim)", "static_cast<float>(p_.scale * Dot(query, key, dim))"),
    ("dtype f64", "weights in f32", A + "f64_kernel.cc", "const double weight = Scores(r)[j];", "const float weight = static_cast<float>(Scores(r)[j]);"),
    ("dtype f64", "rotation in f32", A + "rotation.cc", "cos[pair] = static_cast<Float>(turn.cos);",
     "cos[pair] = static_cast<Float>(static_cast<float>(turn.cos));"),
    ("dtype output", "of the query", A + "problem.cc", "query_form(plan.output_dtype, g.value_head_dim)", "query_form(plan.dtype, g.value_head_dim)"),
    ("empty row", "lse of the maximum", A + "row_tile.cc", "if (sum_[r] == 0) {  // No", "if (false) {  // No"),
    ("empty row", "NaN (f64)", A + "f64_kernel.cc", "if (!has_keys) {", "if (false) {"),
    ("poison", "values not looked at", A + "row_tile.cc",
     "if (!AreFinite(accumulated_, num_rows(), p_.value.dim, p_.value.dim)) {", "if (false) {"),
    ("poison", "pages of values not looked at", A + "row_tile.cc", "gemm_.TakesStored() && !looks_at_values_", "gemm_.TakesStored()"),
    ("poison", "forbidden values weighed", A + "row_tile.cc", "if (!member.stage.IsAllowed(ranges_[r], r - member.first,\n                                  first_key + j)) {", "if (false) {"),
    ("poison", "bool mask not asked", A + "score_stage.cc",
     "if (p_.mask.dtype == DataType::kBool) return element[0] != std::byte{0};",
     "if (p_.mask.dtype == DataType::kBool) return true;"),
    ("poison", "float mask not asked", A + "score_stage.cc", "return bias != -INFINITY;", "return true;"),
    ("poison", "forbidden values weighed (f64)", A + "f64_kernel.cc", "weight == 0 && (is_finite || !IsAllowed(r, j))", "weight == 0 && is_finite"),
    ("poison", "allowed NaN of weight 0 lost (f64)", A + "f64_kernel.cc", "weight == 0 && (is_finite || !IsAllowed(r, j))", "weight == 0"),
    ("merge", "parts not normalised", A + "merge.cc", "static_cast<float>(sum / weights.sum)", "static_cast<float>(sum)"),
    ("merge", "blind parts counted", A + "merge.cc", "if (parts[p].lse[row] == -INFINITY) continue;", ""),
    ("merge", "lse without the largest", A + "merge.cc", "largest + std::log(sum)", "std::log(sum)"),
    ("rescale", "maximum not an integer", A + "score_ops.cc", "std::ceil(RowMax(scores, tile.num_keys))", "RowMax(scores, tile.num_keys)"),
    ("rescale", "sum not rescaled", A + "score_ops.cc", "tile.sum[r] * static_cast<double>(rescale)", "tile.sum[r]"),
    ("rescale", "output not rescaled", A + "row_tile.cc", "if (rescale_[r] != 1.0f) {", "if (false) {"),
    ("kernel choice", "15 rows at most", A + "kernel_choice.cc", "num_rows <= kMaxDecodeRows", "num_rows < kMaxDecodeRows"),
    ("small product", "does not accumulate in the last columns", A + "small_tile_gemm.cc", "r < NumRows && accumulates; ++r", "false; ++r"),
    ("small product", "third row of three", A + "small_tile_gemm.cc", "return Rows<3>(part, row, depth);", "return Rows<2>(part, row, depth);"),
    ("int8", "scale of 126", "core/tensor/int8_rows.cc", "ScaleFor(largest, 127.0f)", "ScaleFor(largest, 126.0f)"),
    ("int8", "marked values not noticed", A + "paged_tiles.cc", "if (HasMarked(values, num_keys)) return std::nullopt;", ""),
    ("int8", "values from the page's start", A + "paged_tiles.cc", "rows.codes += from.first * dim;", ""),
    ("int8", "packed page written in place", "core/kv_cache/kv_layer.cc", "tail.form == PageForm::kFloat && ", ""),
    ("int8", "open page stays", "core/kv_cache/kv_layer.cc", "if (!append.packed_tail_.is_null()) PackTail(append);", ""),
    ("tenant", "weight ignored", "core/batching/fair_queue.cc", "facts.cost / facts.weight()", "facts.cost"),
    ("tenant", "idle time banked", "core/batching/fair_queue.cc",
     "lane.virtual_time = std::max(lane.virtual_time, virtual_time_);", ""),
    ("tenant", "accounts never end", "core/batching/fair_queue.cc", "  virtual_time_ = latest_;", ""),
    ("tenant", "late tasks are charged", "core/batching/batch_scheduler.cc", "queue_.DropNext()", "queue_.TakeNext()"),
    ("tenant", "others' queue is waited for", "core/batching/admission.cc",
     "wait -= EstimatedSeconds(CostBehind(load, 0));", ""),
    ("tenant", "others' queue is before the deadline", "core/batching/admission.cc",
     "needed -= EstimatedSeconds(CostBehind(load, task.cost));", ""),
    ("tenant", "pages not given back", "core/kv_cache/page_pool.cc", "tenant->ReturnKvBytes(slab.page_bytes());", ""),
    ("tenant", "full pool keeps the quota", "core/kv_cache/page_pool.cc",
     "if (tenant != nullptr) tenant->ReturnKvBytes(page_bytes);", ""),
    ("tenant", "packed pages are nobody's", "core/kv_cache/kv_layer.cc",
     "pool_.Allocate(format_.packed_page_bytes(), tenant_)", "pool_.Allocate(format_.packed_page_bytes())"),
    ("tenant", "ends are everybody's", "core/kv_cache/session_store.cc",
     'absl::StrCat(tenant_number, "/", std::string(id))', "std::string(id)"),
    ("tenant", "list goes on to the next", "core/kv_cache/session_store.cc",
     "it->first.tenant_number == tenant.number()", "true"),
    ("tenant", "quota of sessions ignored", "core/kv_cache/session_store.cc",
     "ATTN_RETURN_IF_ERROR(tenant.CheckSessions());", ""),
    ("layer", "bias lost", "core/projection/row_tiles.h", "to[c] = sums[c] + bias[c];", "to[c] = sums[c];"),
    ("layer", "bias of int8 lost", "core/projection/row_tiles.h", "sums[c] * scales[c] + bias[c];", "sums[c] * scales[c];"),
    ("layer", "norm without epsilon", "core/engine/head_norm.cc", " + norm.epsilon", ""),
    ("layer", "window of one token more", "core/engine/forward_plan.cc", "layer.window - 1", "layer.window"),
    ("layer", "scale of the layer before", "core/layer/layer_loader.cc", "static_cast<double>(index + 1)",
     "static_cast<double>(index + 2)"),
    ("layer", "value for key", "core/layer/layer_weights.cc", "FindPart(checkpoint, fused, 1)",
     "FindPart(checkpoint, fused, 2)"),
    ("layer", "positions of the context's keys", "core/engine/forward_plan.cc", ".counts_keys = has_context",
     ".counts_keys = false"),
    ("layer", "magnitude ignored", A + "rotation.cc", "magnitude_(rope.frequencies ? rope.frequencies->magnitude : 1)",
     "magnitude_(1)"),
    ("layer", "mask of the request's causality", "core/engine/forward_plan.cc", "spec.causal.value_or(layer.causal)",
     "layer.causal"),
    ("layer", "rows of another request", "core/engine/projection_batch.cc",
     "return {in.data + slice.first_row * in.stride, in.stride};", "return {in.data, in.stride};"),
]]

# From the quickest to the slowest.
PROGRAMS = ["unit/core/core_batching_test", "unit/core/core_tensor_test", "unit/core/core_attention_test", "conformance/poison_test",
            "unit/core/core_kv_cache_test", "model/fair_queue_model_test", "model/kv_model_test", "properties/merge_test", "properties/packed_test", "properties/paged_test",
            "properties/layer_invariance_test", "conformance/layer_conformance_test", "conformance/kernel_test"]
TIMEOUT_SECONDS = 300


def check(root):
    """Texts that do not stand exactly once in their file."""
    wrong = []
    for mutation in TABLE:
        count = (root / mutation.file).read_text().count(mutation.text)
        if count != 1:
            wrong.append(f"{mutation.file}: stands {count} times, must once: {mutation.text!r}")
    return wrong


class Workshop:
    """A worktree of HEAD with its build folder."""

    def __init__(self, folder):
        self.source, self.build = folder / "source", folder / "build"
        self.environment = {**os.environ, "CMAKE_CXX_COMPILER_LAUNCHER": "ccache", "CCACHE_BASEDIR": str(folder)}

    def open(self):
        run = ["git", "-C", str(repository.ROOT)]
        if self.source.exists():
            head = subprocess.run([*run, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
            subprocess.run(["git", "-C", str(self.source), "checkout", "-q", "-f", "--detach", head], check=True)
        else:
            subprocess.run([*run, "worktree", "add", "-q", "--detach", str(self.source), "HEAD"], check=True)
        subprocess.run(["cmake", "--preset", "release", "-B", str(self.build), "-DATTN_BUILD_SERVER=OFF",
                        "-DATTN_BUILD_CLIENT=OFF"], cwd=self.source, env=self.environment, check=True,
                       stdout=subprocess.DEVNULL)

    def close(self):
        subprocess.run(["git", "-C", str(repository.ROOT), "worktree", "remove", "--force", str(self.source)],
                       check=True)

    def make(self):
        targets = [pathlib.Path(program).name for program in PROGRAMS]
        run = subprocess.run(["nice", "ninja", "-C", str(self.build), *targets], env=self.environment,
                             capture_output=True, text=True)
        return "" if run.returncode == 0 else run.stdout[-3000:]

    def first_failure(self):
        """The test that fails first, or "" if all pass."""
        for program in PROGRAMS:
            command = [str(self.build / "tests" / program), "--gtest_fail_fast", "--gtest_color=no"]
            name = pathlib.Path(program).name
            try:
                run = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=TIMEOUT_SECONDS)
                output, code = run.stdout, run.returncode
            except subprocess.TimeoutExpired as expired:
                output, code = (expired.stdout or b"").decode(errors="replace"), "timeout"
            if code == 0:
                continue
            failed = [line.split("] ")[1].split(",")[0].split(" (")[0] for line in output.splitlines()
                      if line.startswith("[  FAILED  ]") and "." in line]
            started = [line.split("] ")[1] for line in output.splitlines() if line.startswith("[ RUN      ]")]
            return f"{name} {failed[0]}" if failed else f"{name} {started[-1] if started else ''} ({code})"
        return ""

    def try_one(self, mutation):
        path = self.source / mutation.file
        original = path.read_text()
        path.write_text(original.replace(mutation.text, mutation.replacement))
        try:
            broken = self.make()
            if broken:
                raise SystemExit(f"{mutation.option}, {mutation.what}: does not build\n{broken}")
            return self.first_failure()
        finally:
            path.write_text(original)


def run_all(workshop, chosen):
    workshop.open()
    broken = workshop.make()
    found = broken or workshop.first_failure()
    if found:
        raise SystemExit(f"HEAD itself fails: {found}")
    print("| option | broken so | caught by |\n|---|---|---|", flush=True)
    survivors = 0
    started = time.monotonic()
    for mutation in chosen:
        caught = workshop.try_one(mutation)
        survivors += not caught
        print(f"| {mutation.option} | {mutation.what} | {caught or '**survived**'} |", flush=True)
    print(f"{len(chosen)} mutations, {survivors} survived, {time.monotonic() - started:.0f} s", file=sys.stderr)
    return survivors


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("options", nargs="*")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--keep", type=pathlib.Path)
    arguments = parser.parse_args()
    wrong = check(repository.ROOT)
    if wrong or arguments.check:
        print("\n".join(wrong) or f"{len(TABLE)} mutations can be applied")
        return 1 if wrong else 0
    chosen = [m for m in TABLE if not arguments.options or m.option.startswith(tuple(arguments.options))]
    # The first of every option, then the second ones: what is cut short still covers all.
    chosen.sort(key=lambda m: [n for n in TABLE if n.option == m.option].index(m))
    if arguments.keep:
        return 1 if run_all(Workshop(arguments.keep.absolute()), chosen) else 0
    with tempfile.TemporaryDirectory(prefix="mutations_") as folder:
        workshop = Workshop(pathlib.Path(folder))
        try:
            return 1 if run_all(workshop, chosen) else 0
        finally:
            workshop.close()


if __name__ == "__main__":
    sys.exit(main())
