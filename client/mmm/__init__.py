"""Ask MMM Trainer for models, from Python or a notebook.

>>> from mmm import Client
>>> mmm = Client("http://127.0.0.1:8080")
>>> job = mmm.wait(mmm.submit({"request_id": "weekly-46", "country": "DE", ...}))
>>> mmm.result(job).channels
"""

from mmm.client import Client
from mmm.errors import MmmError, NoAnswer, NotAllowed, Refused
from mmm.result import Result

__all__ = ["Client", "MmmError", "NoAnswer", "NotAllowed", "Refused", "Result"]
