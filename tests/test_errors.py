import errno
import pickle
from pathlib import Path

import pytest
import torch

from seewhy.errors import (
    ArchiveError,
    DataError,
    DiskFullError,
    DivergedError,
    ImageError,
    LockedError,
    MemoryLimitError,
    ModelFileError,
    UsageError,
    as_user_error,
    out_of_memory,
)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. posix_memalign"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("could not create a primitive"),
        RuntimeError("Failed to allocate memory for requested buffer of size 64"),
        RuntimeError("std::bad_alloc"),
        RuntimeError("can't start new thread"),
        ImportError("libtorch.so: failed to map segment from shared object"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
    ],
    ids=str,
)
def test_what_libraries_raise_without_memory_is_a_memory_limit(error):
    assert out_of_memory(error)
    assert type(as_user_error(error)) is MemoryLimitError


def test_torch_itself_is_recognised():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert out_of_memory(caught.value)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("cannot allocate a view of a tensor with 3 dimensions"),
        RuntimeError("failed to allocate class index 7"),
        RuntimeError("could not create a primitive descriptor for a convolution forward"),
        ImportError("libgomp.so.1: cannot allocate memory in static TLS block"),
        ValueError("out of memory"),
        KeyError("allocate"),
        OSError(errno.EACCES, "Permission denied"),
    ],
    ids=str,
)
def test_a_mistake_of_our_own_stays_what_it_is(error):
    assert not out_of_memory(error) and as_user_error(error) is None


def test_a_full_disk_is_named_by_its_file():
    error = as_user_error(OSError(errno.ENOSPC, "No space left on device", "a.csv"))
    assert isinstance(error, DiskFullError) and error.path == "a.csv"
    unnamed = as_user_error(OSError(errno.EFBIG, "File too large"))
    assert str(unnamed).startswith("disk full while writing the output: free some space")


def test_a_file_that_may_not_be_opened_is_named():
    error = as_user_error(PermissionError(errno.EACCES, "Permission denied", "/root/run"))
    assert isinstance(error, UsageError)
    assert str(error).startswith("/root/run cannot be opened (Permission denied): allow it, or ")


def test_a_user_error_stays_itself():
    error = DataError("no images")
    assert as_user_error(error) is error


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            DiskFullError(Path("runs/a"), 2_000_000),
            "disk full while writing runs/a (need 2.0 MB): free some space and run the same command again",
        ),
        (
            DiskFullError(
                Path("a"), 9_000_000, 1_000_000, "training", "seewhy train --resume --out a"
            ),
            "training needs 9 MB and a has 1 MB free: free some space and continue with `seewhy train "
            "--resume --out a`, or choose another directory",
        ),
        (
            MemoryLimitError("why", 16),
            "no memory left with train.batch_size=16: try --train.batch_size 8, or a smaller "
            "data.size or model (why)",
        ),
        (
            LockedError(Path("runs/a"), "process 7 on host"),
            "runs/a is being written by process 7 on host: wait for it, or choose another directory",
        ),
        (
            DivergedError("the loss became nan", 7, 0.5, "none"),
            "the loss became nan at step 7 (learning rate 0.5): start again with --train.lr 0.05, "
            "--train.clip 1 or --train.warmup 1 (kept: none)",
        ),
        (ImageError("not_found"), "no such file"),
        (ImageError("too_large", "9 bytes"), "9 bytes"),
        (ArchiveError("x.zip", "zip_twice", "a"), "x.zip: two entries have one name (a)"),
        (ModelFileError("it is a pickle", "m.pt"), "m.pt: it is a pickle"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_messages_are_made_of_the_facts_also_in_another_process(error, message):
    again = pickle.loads(pickle.dumps(error))
    assert str(error) == str(again) == message
    assert vars(again) == vars(error)


def test_facts_that_are_learnt_later_are_in_the_message():
    error = DivergedError("the loss became nan", 7, 0.5)
    assert "kept" not in str(error)
    error.kept = Path("checkpoints/step-4")
    error.highest_lr = 20
    assert "with --train.lr 2, " in str(error), "a tenth of what was set, not of what it was then"
    assert str(error).endswith("(kept: checkpoints/step-4)")


def test_a_code_that_is_not_listed_is_a_mistake_of_our_own():
    with pytest.raises(AssertionError):
        ImageError("odd")
    with pytest.raises(AssertionError):
        ArchiveError("x.zip", "odd", "")
