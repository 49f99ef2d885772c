"""Quality of enlarged pictures: data sets, LR by two bicubic resizers, PSNR and SSIM, and tables that say how.

Importing it loads neither a framework nor the packages of the `eval` extra; what needs one imports it when called.
"""

from edge_liif.evaluate.datasets import Dataset, ResolutionPair, find_datasets, load_rgb, low_resolution
from edge_liif.evaluate.degrade import jpeg_coded
from edge_liif.evaluate.environment import environment_facts
from edge_liif.evaluate.metrics import ms_ssim_y, psnr_rgb, psnr_y, ssim_y
from edge_liif.evaluate.protocol import BICUBIC, Enlarger, ImageScore, Row, enlarge_bicubic, evaluate
from edge_liif.evaluate.report import protocol_line, to_json, to_markdown
from edge_liif.evaluate.resize import crop_to_multiple, matlab_bicubic, pil_bicubic

__all__ = [
    "BICUBIC",
    "Dataset",
    "Enlarger",
    "ImageScore",
    "ResolutionPair",
    "Row",
    "crop_to_multiple",
    "enlarge_bicubic",
    "environment_facts",
    "evaluate",
    "find_datasets",
    "jpeg_coded",
    "load_rgb",
    "low_resolution",
    "matlab_bicubic",
    "ms_ssim_y",
    "pil_bicubic",
    "protocol_line",
    "psnr_rgb",
    "psnr_y",
    "ssim_y",
    "to_json",
    "to_markdown",
]
