"""Logits of a model with a PEFT adapter, for the check that our adapters load in PEFT itself.

usage: peft_logits.py MODEL_DIR ADAPTER_DIR IDS      IDS: token ids, comma separated
Prints the logits after the last token as one JSON list.   needs: pip install torch transformers peft
"""
import json, sys
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32)
model = PeftModel.from_pretrained(model, sys.argv[2]).eval()
ids = torch.tensor([[int(i) for i in sys.argv[3].split(',')]])
with torch.no_grad():
    print(json.dumps(model(input_ids=ids).logits[0, -1].tolist()))
