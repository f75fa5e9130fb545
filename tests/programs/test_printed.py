"""Numbers by name on standard output, held against lines as frameworks print them."""

import time

import pytest

from ablate.programs.capture import number
from ablate.programs.printed import JsonReader, NameReader, PatternReader, Stream, numbers_in, plain

CORPUS = r"""
pytorch mnist | Train Epoch: 3 [25600/60000 (43%)]	Loss: 0.073412 | loss | Loss=0.073412@3
pytorch mnist | Test set: Average loss: 0.0274, Accuracy: 9911/10000 (99%) | accuracy, loss | Average loss=0.0274
pytorch mnist | Accuracy: 501/597 | accuracy |
pytorch imagenet | Epoch: [12][ 390/5005]	Time  0.312 ( 0.355)	Data  0.000 ( 0.021)	Loss 2.4310e+00 (2.6140e+00)	Acc@1  46.48 ( 43.10) | acc@1 | Acc@1=46.48@12
pytorch imagenet | Test: [ 90/196]	Time  0.104 ( 0.298)	Loss 9.8331e-01 (1.1530e+00)	Acc@1  74.22 ( 70.83)	Acc@5  92.19 ( 90.31) | acc@5, loss | Acc@5=92.19 Loss=0.98331
pytorch imagenet |  * Acc@1 69.758 Acc@5 89.078 | acc@1, acc@5 | Acc@1=69.758 Acc@5=89.078
timm | Train: 14 [ 200/312 ( 64%)]  Loss: 3.112 (3.19)  Time: 0.241s, 1062.35/s  (0.250s, 1024.00/s)  LR: 4.900e-04 | loss | Loss=3.112
timm | Test: [  78/78]  Time: 0.055 (0.071)  Loss:   1.014 ( 1.203)  Acc@1:  77.381 ( 72.410)  Acc@5:  93.452 ( 91.200) | acc@1 | Acc@1=77.381
timm | *** Best metric: 72.41 (epoch 14) | eval_top1 |
keras | Epoch 1/10 | accuracy |
keras | 1875/1875 [==============================] - 5s 3ms/step - loss: 0.2943 - accuracy: 0.9148 - val_loss: 0.1414 - val_accuracy: 0.9581 | val_accuracy, val_loss | val_accuracy=0.9581 val_loss=0.1414
keras 3 | [1m938/938[0m [32m━━━━━━━━━━[0m[37m[0m [1m2s[0m 2ms/step - accuracy: 0.8741 - loss: 0.4410 - val_loss: 0.1702 | accuracy, val_loss | accuracy=0.8741 val_loss=0.1702
keras | Epoch 5: val_loss improved from 0.16512 to 0.15120, saving model to best.h5 | val_loss |
keras | 313/313 - 0s - loss: 0.0738 - accuracy: 0.9779 - 412ms/epoch - 1ms/step | accuracy | accuracy=0.9779
lightning | Epoch 0: 100%|█| 7/7 [00:07<00:00,  1.04s/it, loss=0.693, v_num=d-21, val/accuracy=0.639, val/loss=0.689 | val/accuracy, val_loss | val/accuracy=0.639@0 val/loss=0.689@0
lightning | Epoch 0, global step 6: 'val/accuracy' reached 0.63918 (best 0.63918), saving model to 'checkpoints/val/accuracy.ckpt' as top 1 | val/accuracy |
lightning | Metric val_loss improved by 0.012 >= min_delta = 0.0. New best score: 0.342 | val_loss |
lightning | │         test_acc          │    0.9182000160217285     │ | test_acc | test_acc=0.9182000160217285
lightning | Epoch 4: 100%|####| 74/74 [00:06<00:00, 11.6it/s, v_num=35, train_loss=0.412, val_loss=0.398] | train_loss, val_loss | train_loss=0.412@4 val_loss=0.398@4
hf trainer | {'loss': 0.9073, 'learning_rate': 4.2e-05, 'rewards/accuracies': 0.5625, 'epoch': 0.16} | loss, rewards/accuracies | loss=0.9073 rewards/accuracies=0.5625
hf trainer | {'eval_loss': 0.8106440901756287, 'eval_runtime': 9.5817, 'eval_samples_per_second': 10.437, 'epoch': 0.2} | eval_loss | eval_loss=0.8106440901756287
hf trainer | {'eval_accuracy': 0.8627450980392157, 'epoch': 3.0} | eval_accuracy | eval_accuracy=0.8627450980392157
hf trainer |   eval_accuracy           =     0.8627 | eval_accuracy | eval_accuracy=0.8627
hf trainer | {'train_runtime': 123.9, 'train_loss': 0.4011, 'epoch': 3.0} | train_loss | train_loss=0.4011
hf trainer | [INFO|trainer.py:3503] 2024-05-01 10:22:11,127 >> Saving model checkpoint to out/checkpoint-500 | eval_loss |
fastai | 3         0.171653    0.139840    0.046685    00:52 | error_rate |
nanogpt | step 2000: train loss 1.7648, val loss 1.8857 | val loss | val loss=1.8857@2000
nanogpt | iter 2010: loss 1.2403, time 41.23ms, mfu 17.34% | loss, mfu | loss=1.2403@2010 mfu=17.34@2010
cleanrl | global_step=10240, episodic_return=212.0 | episodic_return | episodic_return=212.0@10240
cleanrl | SPS: 5213 | sps | SPS=5213.0
stable-baselines3 | |    ep_rew_mean          | 148         | | ep_rew_mean | ep_rew_mean=148.0
stable-baselines3 | |    value_loss           | 36.8        | | value_loss | value_loss=36.8
stable-baselines3 | Eval num_timesteps=10000, episode_reward=178.30 +/- 21.06 | episode_reward | episode_reward=178.3
detectron2 | [11/01 11:27:04 d2.utils.events]: eta: 8:05:12  iter: 1259  total_loss: 1.012  loss_cls: 0.714  time: 0.3322  lr: 0.010000  max_mem: 3961M | total_loss | total_loss=1.012@1259
detectron2 | [11/01 11:27:04 d2.utils.events]: eta: 8:05:12  iter: 1259  total_loss: 1.012  max_mem: 3961M | max_mem |
detectron2 | [05/03 09:10:11 d2.evaluation.testing]: copypaste: 41.0132,61.5034,44.9821 | ap |
mmdetection | 2020-05-08 18:56:16,649 - mmdet - INFO - Epoch [1][2400/7517]	lr: 0.00125, eta: 4:33:09, loss_cls: 0.1939, acc: 93.4961, loss_bbox: 0.1484, loss: 0.4890 | acc, loss | acc=93.4961@1 loss=0.489@1
mmdetection | 2021-02-01 10:00:00,100 - mmdet - INFO - Epoch(val) [12][5000]	bbox_mAP: 0.3740, bbox_mAP_50: 0.5810 | bbox_mAP | bbox_mAP=0.374
mmengine | 2023/04/01 12:00:00 - mmengine - INFO - Epoch(val) [10][157/157]    accuracy/top1: 93.8400  data_time: 0.01  time: 0.03 | accuracy/top1 | accuracy/top1=93.84
mmpretrain json | {"mode": "val", "epoch": 10, "iter": 19, "lr": 0.00023, "accuracy_top-1": 79.0} | accuracy_top-1 | accuracy_top-1=79.0@10
maskrcnn | 2019-05-27 10:48:54,461 maskrcnn_benchmark.trainer INFO: eta: 0:17:37  iter: 87940  loss: 0.6097 (0.9191)  loss_mask: 0.2618 (0.3238) | loss | loss=0.6097@87940
ultralytics |                    all        128        929      0.768      0.617      0.703      0.524 | map50 |
fairseq | 2020-11-01 10:00:00 | INFO | train_inner | epoch 001:    100 / 1074 loss=12.133, nll_loss=11.721, ppl=3375.91, wps=3412 | ppl, loss | ppl=3375.91@1 loss=12.133@1 nll loss=11.721@1
fairseq | 2020-11-01 10:10:00 | INFO | valid | epoch 001 | valid on 'valid' subset | loss 9.511 | nll_loss 8.601 | ppl 388.31 | bleu 1.91 | bleu, ppl | bleu=1.91@1 ppl=388.31@1
xgboost | [12]	train-logloss:0.21034	eval-logloss:0.24411 | eval-logloss | eval-logloss=0.24411
xgboost | [0]	validation_0-rmse:1.20311 | validation_0-rmse | validation_0-rmse=1.20311
lightgbm | [100]	valid_0's binary_logloss: 0.132905	valid_0's auc: 0.9912 | auc | auc=0.9912
lightgbm | [LightGBM] [Info] Total Bins 25500 | auc |
catboost | 150:	learn: 0.2310441	test: 0.2711023	best: 0.2710101 (148)	total: 1.02s	remaining: 5.75s | test | test=0.2711023
catboost | bestTest = 0.2710101297 | besttest | bestTest=0.2710101297
sklearn | Iteration 12, loss = 0.31231041 | loss | loss=0.31231041@12
sklearn |     accuracy                           0.93       360 | accuracy | accuracy=0.93
jax/flax | epoch:   3, train_loss: 0.0312, train_accuracy: 99.02, test_loss: 0.0405, test_accuracy: 98.71 | test_accuracy | test_accuracy=98.71@3
deepspeed | [2023-08-01 10:00:00,123] [INFO] [logging.py:96:log_dist] [Rank 0] step=100, skipped=0, lr=[9.6e-06], mom=[(0.9, 0.95)] | lr | lr=9.6e-06@100
megatron |  iteration      100/  500000 | consumed samples:        25600 | lm loss: 7.412391E+00 | loss scale: 1.0 | grad norm: 1.112 | | lm loss | lm loss=7.412391@100
caffe | I0203 10:00:00.123 solver.cpp:228] Iteration 500, loss = 0.412 | loss | loss=0.412@500
caffe | I0203 10:00:01.123 solver.cpp:404]     Test net output #0: accuracy = 0.9812 | accuracy | accuracy=0.9812
paddle | epoch 1, batch 100, loss: 1.2345, acc: 0.5625 | acc | acc=0.5625@1
spacy |   2     400         33.21    412.10   78.12   79.01   77.25    0.78 | ents_f |
allennlp | accuracy: 0.8125, loss: 0.4211 ||: 100%|##########| 120/120 [00:10<00:00, 11.50it/s] | accuracy | accuracy=0.8125
opennmt | Step 5000/100000; acc: 45.12; ppl: 12.31; xent: 2.51; lr: 0.00088 | ppl | ppl=12.31@5000
torchtitan | [actor=<root>] Eval: Accuracy=20% (4/20) Format=30% (6/20) | accuracy | Accuracy=20.0
a3c | Time 08h 36m 42s, Avg Reward 0.064, Avg Accuracy 0.22, Avg Ep length 5.26, Best Reward 0.184 | accuracy, reward | Avg Accuracy=0.22 Avg Reward=0.064 Best Reward=0.184
by hand | torch version 2.4.1, accuracy 1.2.3 | accuracy |
by hand | loaded runs/acc=0.93/last.pt, see /tmp/loss/0.5 and ./acc/0.7 | acc, loss |
by hand | accuracy is 97.5% | accuracy | accuracy=97.5
by hand | loss: nan | loss | loss=nan
by hand | accuracy over 5 runs, accuracies: 3 | accuracy |
by hand | took 3.2 s, loss 0.3s, acc: 5/10, acc: 0,95 | acc, loss |
"""


def parted(line):
    framework, rest = line.split(" | ", 1)
    text, asked, expected = rest.rsplit(" | ", 2) if not rest.endswith(" |") else (*rest[:-2].rsplit(" | ", 1), "")
    return framework, text, [name.strip() for name in asked.split(",")], expected.strip()


def found(text, asked):
    numbers = [
        (where.removeprefix("stdout ").strip("'"), reading.value, reading.step)
        for name in asked
        for reading, where in NameReader([name]).line(plain(text), "")
    ]
    return [f"{where}={value}" + ("" if step is None else f"@{step}") for where, value, step in numbers]


@pytest.mark.parametrize("line", CORPUS.strip("\n").splitlines())
def test_every_number_that_is_meant_is_found_and_no_other(line):
    _, text, asked, expected = parted(line)
    assert " ".join(found(text, asked)) == expected


def test_the_corpus_is_of_enough_lines_and_frameworks():
    lines = CORPUS.strip("\n").splitlines()
    assert len(lines) >= 60
    assert len({parted(line)[0] for line in lines}) >= 12


def test_a_line_belongs_to_the_step_that_was_said_above_it():
    stream = Stream([NameReader(["acc"])])
    pieces = [b"Epoch 3\nnoise\n", b"  acc 0.5\nEpoch 4", b"\nacc 0.6\n"]
    assert [(reading.step, reading.value) for piece in pieces for _, reading, _ in stream.feed(piece)] == [
        (3, 0.5),
        (4, 0.6),
    ]


def test_json_and_python_mappings_are_read_a_line_each():
    stream = Stream([JsonReader()])
    text = b"INFO {'loss': 0.5, 'epoch': 2, 'deep': {'f1': '0.25'}}\n{\"step\": 7, \"acc\": 1}\n{not one}\n"
    read = [(reading.name, reading.value, reading.step) for _, reading, _ in stream.feed(text)]
    assert read == [("loss", 0.5, 2), ("deep.f1", 0.25, 2), ("acc", 1.0, 7)]


@pytest.mark.parametrize(("pattern", "regex"), [("loss", False), ("(", True), ("loss (.*)", True)])
def test_a_pattern_that_is_none_or_names_nothing_is_refused(pattern, regex):
    with pytest.raises(ValueError, match=r"cannot be read|names no number"):
        PatternReader(pattern, regex)


def test_lines_without_a_number_that_is_looked_for_cost_next_to_nothing():
    """Five million lines at 1 us each are 5 s; here a fiftieth of them, by this process's own time."""
    stream = Stream([NameReader(["val_accuracy"]), PatternReader("top1 is {top1:f}")])
    piece = b"".join(b"[%d] some words of a batch, nothing to see: 0.%d\n" % (i, i) for i in range(20_000))
    began = time.process_time()
    for _ in range(5):
        assert list(stream.feed(piece)) == []
    assert (time.process_time() - began) / 100_000 < 1e-6


def test_numbers_are_read_from_texts_and_nothing_else_is_one():
    assert [number(value) for value in ("1e-3", 2, True, None, [], "x", "")] == [
        0.001,
        2.0,
        None,
        None,
        None,
        None,
        None,
    ]


def test_names_that_are_listed_are_not_those_of_arguments_or_layers():
    text = "Namespace(lr=0.1, seed=0)\n(0): Linear(in_features=64, bias=True)\nEpoch 3 * Acc@1 68.333 Loss 1.7\nlr=0.05"
    assert numbers_in(text) == {"Acc@1": 68.333, "Loss": 1.7, "lr": 0.05}
    assert numbers_in("\x1b[1mscore\x1b[0m is 0.5") == {"score": 0.5}
