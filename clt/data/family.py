"""Two families of twelve people each: the facts about them, derived from who married whom and whose child is whose."""

_NAMES = (
    "Christopher Penelope Andrew Christine Margaret Arthur Victoria James Jennifer Charles Colin Charlotte",
    "Roberto Maria Pierro Francesca Gina Emilio Lucia Marco Angela Tomaso Alfonso Sophia",
)
# By place in a tree, the same in both: husband and wife, and the children of each couple that has some.
_COUPLES = ((0, 1), (2, 3), (5, 4), (7, 6), (9, 8))
_CHILDREN = {(0, 1): (5, 6), (2, 3): (7, 8), (7, 6): (10, 11)}
_MALE = {0, 2, 5, 7, 9, 10}
_RELATIONS = ["husband", "wife", "son", "daughter", "father", "mother", "brother", "sister", "nephew", "niece", "uncle",
              "aunt"]  # fmt: skip


def family_trees() -> tuple[list[str], list[str], list[tuple[int, int, int]]]:
    """Hinton's family trees, one English and one Italian, built alike.

    Returns:
        The 24 people, the 12 relations, and 112 triples of their numbers: (person, relation, answer), where
        (Colin, father, James) says that Colin's father is James. The English come first, each Italian 12 after the
        English person in the same place. Uncles and aunts include those by marriage. Of the 104 pairs of a person and
        a relation that have an answer, eight have two.

    Source: Hinton (1986), *Learning distributed representations of concepts*; the names are those of his figure.
    """
    spouse = {a: b for couple in _COUPLES for a, b in (couple, couple[::-1])}
    parents = {child: couple for couple, children in _CHILDREN.items() for child in children}
    facts = [(a, "husband" if b in _MALE else "wife", b) for a, b in spouse.items()]
    for child, couple in parents.items():
        for parent, role in zip(couple, ("father", "mother"), strict=True):
            facts += [(child, role, parent), (parent, "son" if child in _MALE else "daughter", child)]
            for sibling in set(_CHILDREN[parents[parent]]) - {parent} if parent in parents else ():
                for other in (sibling, spouse[sibling]):
                    facts.append((child, "uncle" if other in _MALE else "aunt", other))
                    facts.append((other, "nephew" if child in _MALE else "niece", child))
        for sibling in set(_CHILDREN[couple]) - {child}:
            facts.append((child, "brother" if sibling in _MALE else "sister", sibling))
    triples = {(a + tree, _RELATIONS.index(role), b + tree) for a, role, b in facts for tree in (0, 12)}
    return " ".join(_NAMES).split(), list(_RELATIONS), sorted(triples)
