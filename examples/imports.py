"""Imports every package of requirements.txt, and lets the compiled ones do something."""

import sys

import certifi
import crcmod.predefined
import docopt
import ldap
import psycopg2
import regex
import rpds
import trove_classifiers

assert certifi.where()
assert docopt.docopt("usage: demo --yes", ["--yes"]) == {"--yes": True}
assert crcmod.predefined.mkPredefinedCrcFun("crc-32")(b"123456789") == 0xCBF43926
assert regex.findall(r"\p{Lu}", "aÄb") == ["Ä"]
assert rpds.HashTrieMap({"one": 1})["one"] == 1
assert "Typing :: Typed" in trove_classifiers.classifiers
libpq = psycopg2.extensions.libpq_version()
openldap = ldap.get_option(ldap.OPT_API_INFO)["vendor_version"]
assert libpq
assert openldap
sys.stdout.write(f"8 packages import (libpq {libpq}, OpenLDAP {openldap})\n")
