"""Two processes of one job, as torchrun starts them."""

import pytest
import torch


@pytest.fixture(scope="session")
def run_ranks(run_forked):
    """Run a Python program as both ranks of a job of two processes: `run_ranks(program, *arguments)`."""

    def run(program, *arguments):
        # As torchrun does: the store outlives both ranks. Kept by the first, it could end before the other takes leave.
        store = torch.distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
        common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port)}
        common |= {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "TORCHELASTIC_USE_AGENT_STORE": "True"}
        ranks = [{**common, "RANK": rank, "LOCAL_RANK": rank} for rank in "01"]
        run_forked(program, *arguments, environments=ranks)

    return run
