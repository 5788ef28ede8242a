"""Records and images -> new ones: what is too slow, or too random, to be made while training."""

from melanoma_tf.rewrite.purified_files import Outcome, purify_files
from melanoma_tf.rewrite.purified_records import PurifySettings, purify_records

__all__ = ["Outcome", "PurifySettings", "purify_files", "purify_records"]
