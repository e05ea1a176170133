"""The ``chinese`` preset and the tokenizer ``jieba``."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from elanus.errors import MissingExtraError
from elanus.text import build_analyzer


def jieba(**options):
    return build_analyzer({"tokenizer": {"type": "jieba", **options}})


def test_words_and_the_words_inside_them_are_found():
    tokens = build_analyzer("chinese").tokens("小明在清华大学，学习。")
    assert tokens == ["小明", "在", "清华", "华大", "大学", "清华大学", "学习"]


def test_other_scripts_go_the_standard_way():
    tokens = build_analyzer("chinese").tokens("使用getUserName方法 Café Привет ひら C++ ３.１４！")
    expected = "使用 getusername get user name 方法 café привет ひ ひら ら c++ 3.14"
    assert tokens == expected.split()


def test_preset_takes_stop_words():
    assert build_analyzer({"type": "chinese", "stop_words": ["在"]}).tokens("小明在大学") == [
        "小明",
        "大学",
    ]


def test_mode_exact_gives_no_inner_words():
    assert jieba(mode="exact").tokens("清华大学") == ["清华大学"]
    assert "大学" in jieba(mode="search").tokens("清华大学")


def test_unknown_words_are_guessed_only_with_hmm():
    assert "杭研" in jieba(hmm=True).tokens("他来到了网易杭研大厦")
    assert "杭研" not in jieba(hmm=False).tokens("他来到了网易杭研大厦")


def test_own_words_are_known_to_their_analyzer_only():
    own = jieba(dict=["_default_", "结巴分词器"], mode="exact")
    assert own.tokens("milvus结巴分词器中文测试") == ["milvus", "结巴分词器", "中文", "测试"]
    assert "结巴分词器" not in jieba(mode="exact").tokens("结巴分词器")
    assert build_analyzer(own.identity) == own


def test_threads_may_load_it_at_once():
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda n: jieba(mode="exact").tokens(f"清华大学{n}"), range(8)))
    assert found == [["清华大学", str(n)] for n in range(8)]


def test_a_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "jieba", None)
    with pytest.raises(MissingExtraError, match=r"pip install jieba \(.*elanus\[jieba\]"):
        jieba(dict=["_default_", "未装"])


def test_first_use_is_silent_and_writes_nothing(tmp_path):
    code = "from elanus.text import build_analyzer; print(build_analyzer('chinese').tokens('大学'))"
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, check=False, timeout=60)
    assert (done.stdout.decode().strip(), done.stderr.decode()) == ("['大学']", "")
    assert list(tmp_path.iterdir()) == []


def test_importing_the_room_does_not_import_jieba():
    code = "import sys, elanus.text; print('jieba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=60)
    assert done.stdout.strip() == b"False"
