"""Forms of texts in contracts, and what each is in words."""

from spot_optimizer.vocabulary import VERSION_PATTERN

INSTANCE_ID = r"^i-[0-9a-f]{8,17}$"
TYPE_NAME = r"^[a-z0-9-]+\.[a-z0-9-]+$"
ZONE_NAME = r"^[a-z]{2}(-[a-z]+)+-\d(-[a-z]+-\d)?[a-z]$"
ENGINE_NAME = r"^[a-z][a-z0-9_]{0,39}$"
IMPORTED_KEY = r"^import/.+"
UPLOADED_KEY = r"^models/uploads/"
SWITCH_ID = r"^[0-9A-Za-z_-]{1,80}$"
CLAIM_TOKEN = r"^\d+$"
MODEL_NAME = r"^[A-Za-z0-9._-]{1,64}$"

IN_WORDS = {
    INSTANCE_ID: "an instance id such as i-0123456789abcdef0",
    TYPE_NAME: "an instance type such as m5.large",
    ZONE_NAME: "the name of a zone such as us-east-1a, not a zone id such as use1-az1",
    ENGINE_NAME: "the name of an engine such as expected_cost",
    IMPORTED_KEY: "a key below import/, such as import/prices.csv",
    UPLOADED_KEY: "a key below models/uploads/",
    SWITCH_ID: "up to 80 letters, digits, - and _",
    CLAIM_TOKEN: "digits",
    VERSION_PATTERN: "the name of an uploaded folder: letters, digits, dots, - and _",
    MODEL_NAME: "up to 64 letters, digits, dots, - and _",
}
