r"""Exact values of arithmetic that a model writes: `3 \frac{1}{2}`, `2^{10}`, `\sqrt{12}`, `2\pi`.

A value is a sum of rational multiples of square roots and powers of pi, kept exactly, so that two expressions are
equal or not whatever the rounding. The grammar (docs/scoring.md) is this parser, and the parser bounds the work
before it does it: numbers of at most `MAX_BITS` bits, at most `MAX_OPERATIONS` operations on them, `MAX_DEPTH` levels.
What goes beyond has no value. Knows nothing of answers, units or texts.
"""

import math
import re
from collections.abc import Sequence
from fractions import Fraction

MAX_BITS = 2048
MAX_OPERATIONS = 300
MAX_DEPTH = 20
MAX_RADICAND = 10**9  # its square factors are found by trial division up to its cube root
MAX_PI_POWER = 20

Value = dict[tuple[int, int], Fraction]
"""Coefficients by (square-free radicand, power of pi); zero is empty, a rational has the one key (1, 0)."""

_RATIONAL = (1, 0)
_DIGITS = re.compile(r"[0-9]+")


class NoValue(ValueError):
    """The text is no arithmetic, or goes beyond the bounds."""


def evaluate(tokens: Sequence[str]) -> Value:
    r"""Value of an expression.

    Args:
        tokens: numbers as Python writes them (`12`, `1.5`, `1e3`), `+ - * / ^ ( ) { } [ ]`, `\frac`, `\sqrt`, `\pi`.

    Raises:
        NoValue: as the class says.
    """
    parser = _Parser(tokens)
    value = parser.sum(0)
    if parser.next is not None:
        raise NoValue(parser.next)
    return value


def rational(number: str) -> Fraction:
    """A decimal, exactly.

    Raises:
        NoValue: it has more digits than `MAX_BITS` bits hold.
    """
    mantissa, _, exponent = number.lower().partition("e")
    if len(mantissa) > MAX_BITS // 4 or len(exponent.lstrip("+-0")) > 3:
        raise NoValue(number[:20])
    return _bounded(Fraction(mantissa) * Fraction(10) ** int(exponent or 0))


class _Parser:
    """Recursive descent over the tokens; `depth` is that of brackets, signs and arguments."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self._tokens = list(reversed(tokens))
        self._left = MAX_OPERATIONS

    @property
    def next(self) -> str | None:
        return self._tokens[-1] if self._tokens else None

    def sum(self, depth: int) -> Value:
        value = self._product(depth)
        while self.next in ("+", "-"):
            sign = 1 if self._tokens.pop() == "+" else -1
            value = self._add(value, self._product(depth), sign)
        return value

    def _product(self, depth: int) -> Value:
        """Factors side by side are multiplied, but for two numbers, which are no product."""
        value = self._signed(depth)
        while self.next is not None and self.next not in ("+", "-", ")", "}", "]"):
            if self.next in ("*", "/"):
                operator = self._tokens.pop()
                factor = self._signed(depth)
                value = self._multiply(value, factor if operator == "*" else self._inverse(factor))
            elif self.next[0].isdigit() or self.next[0] == "." or self.next in ("^", "["):
                raise NoValue(self.next)
            else:
                value = self._multiply(value, self._power(depth))
        return value

    def _signed(self, depth: int) -> Value:
        if depth > MAX_DEPTH:
            raise NoValue("depth")
        if self.next not in ("+", "-"):
            return self._power(depth)
        sign = 1 if self._tokens.pop() == "+" else -1
        return {key: sign * factor for key, factor in self._signed(depth + 1).items()}

    def _power(self, depth: int) -> Value:
        base = self._atom(depth)
        if self.next != "^":
            return base
        self._tokens.pop()
        sign = -1 if self.next == "-" else 1
        if self.next in ("+", "-"):
            self._tokens.pop()
        exponent = _as_rational(self._atom(depth))
        if self.next == "^" or exponent.denominator != 1:
            raise NoValue("^")
        return self._to_the(base, sign * exponent.numerator)

    def _atom(self, depth: int) -> Value:
        if depth > MAX_DEPTH:
            raise NoValue("depth")
        token = self._tokens.pop() if self._tokens else ""
        if token[:1].isdigit() or token[:1] == ".":
            return self._mixed(token, depth)
        if token in ("(", "{"):
            return self._bracket({"(": ")", "{": "}"}[token], depth)
        if token == r"\pi":
            return {(1, 1): Fraction(1)}
        if token == r"\frac":
            numerator = self._argument(depth)
            return self._multiply(numerator, self._inverse(self._argument(depth)))
        if token == r"\sqrt":
            return self._root(depth)
        raise NoValue(token)

    def _bracket(self, end: str, depth: int) -> Value:
        if depth >= MAX_DEPTH:
            raise NoValue("depth")
        value = self.sum(depth + 1)
        if self.next != end:
            raise NoValue(str(self.next))
        self._tokens.pop()
        return value

    def _mixed(self, token: str, depth: int) -> Value:
        r"""A number, or an integer with a proper fraction after it: `2 1/2`, `2\frac{1}{2}`."""
        number = rational(token)
        if not _DIGITS.fullmatch(token) or self.next is None:
            return _value(number)
        if self.next == r"\frac":
            fraction = self._atom(depth)
            if set(fraction) == {_RATIONAL} and 0 < fraction[_RATIONAL] < 1:
                return self._add(_value(number), fraction, 1)
            return self._multiply(_value(number), fraction)
        if len(self._tokens) >= 3 and self._tokens[-2] == "/":
            above, below = self._tokens[-1], self._tokens[-3]
            if _DIGITS.fullmatch(above) and _DIGITS.fullmatch(below) and rational(above) < rational(below):
                del self._tokens[-3:]
                return self._add(_value(number), _value(rational(above) / rational(below)), 1)
        return _value(number)

    def _argument(self, depth: int) -> Value:
        r"""Argument of a fraction: without braces it is one digit, as in `\frac12`."""
        token = self.next
        if token is not None and token[0].isdigit():
            self._tokens.pop()
            if token[1:]:
                self._tokens.append(token[1:])
            return _value(rational(token[0]))
        return self._atom(depth + 1)

    def _root(self, depth: int) -> Value:
        degree = 2
        if self.next == "[":
            self._tokens.pop()
            degree = _as_rational(self._bracket("]", depth)).numerator
        token = self.next
        if token is not None and token[0].isdigit():  # a model that writes \sqrt16 means the root of 16
            self._tokens.pop()
            radicand = rational(token)
        else:
            radicand = _as_rational(self._atom(depth + 1))
        self._count(5 if degree == 2 else 30)  # what a root costs in multiplications
        return _root(radicand, degree)

    def _count(self, operations: int) -> None:
        self._left -= operations
        if self._left < 0:
            raise NoValue("operations")

    def _add(self, left: Value, right: Value, sign: int) -> Value:
        self._count(len(right) + 1)
        total = dict(left)
        for key, factor in right.items():
            total[key] = _bounded(total.get(key, Fraction(0)) + sign * factor)
        return {key: factor for key, factor in total.items() if factor}

    def _multiply(self, left: Value, right: Value) -> Value:
        product: Value = {}
        for (radicand, pis), factor in left.items():
            for (other_radicand, other_pis), other in right.items():
                self._count(2)
                common = math.gcd(radicand, other_radicand)  # both are square-free, so the rest is, too
                key = (radicand // common * (other_radicand // common), pis + other_pis)
                if key[0] > MAX_RADICAND or abs(key[1]) > MAX_PI_POWER:
                    raise NoValue("radicand")
                product[key] = _bounded(product.get(key, Fraction(0)) + factor * other * common)
        return {key: factor for key, factor in product.items() if factor}

    def _inverse(self, value: Value) -> Value:
        r"""One over a single term: `1/(2\sqrt{3})` is `\sqrt{3}/6`; sums of several terms stay out."""
        self._count(1)
        if len(value) != 1:
            raise NoValue("division")
        ((radicand, pis), factor) = next(iter(value.items()))
        return {(radicand, -pis): _bounded(1 / (factor * radicand))}

    def _to_the(self, base: Value, exponent: int) -> Value:
        if exponent < 0:
            base, exponent = self._inverse(base), -exponent
        if not base:
            if exponent == 0:
                raise NoValue("0^0")
            return {}
        if set(base) == {_RATIONAL}:
            self._count(1)
            number = base[_RATIONAL]
            bits = max(number.numerator.bit_length(), number.denominator.bit_length())
            if abs(number) != 1 and bits * exponent > 2 * MAX_BITS:  # asked before it is computed
                raise NoValue("power")
            return _value(_bounded(number ** (exponent if abs(number) != 1 else exponent % 2)))
        if exponent > MAX_PI_POWER:
            raise NoValue("power")
        power = _value(Fraction(1))
        for _ in range(exponent):
            power = self._multiply(power, base)
        return power


def _value(number: Fraction) -> Value:
    return {_RATIONAL: number} if number else {}


def _as_rational(value: Value) -> Fraction:
    if value and set(value) != {_RATIONAL}:
        raise NoValue("irrational")
    return value.get(_RATIONAL, Fraction(0))


def _bounded(number: Fraction) -> Fraction:
    if max(number.numerator.bit_length(), number.denominator.bit_length()) > MAX_BITS:
        raise NoValue("size")
    return number


def _root(number: Fraction, degree: int) -> Value:
    """The root of a number that is not negative: any square root, others where they are rational."""
    if number < 0 or not 2 <= degree <= 10:
        raise NoValue("root")
    above, below = _exact_root(number.numerator, degree), _exact_root(number.denominator, degree)
    if above is not None and below is not None:
        return _value(Fraction(above, below))
    product = number.numerator * number.denominator
    if degree != 2 or product > MAX_RADICAND:
        raise NoValue("root")
    outside, inside = _square_part(product)
    return {(inside, 0): Fraction(outside, number.denominator)}


def _exact_root(number: int, degree: int) -> int | None:
    """The root of a power, None of what is none; by halving, so the bits bound the steps."""
    if degree == 2:
        root = math.isqrt(number)
        return root if root * root == number else None
    low, high = 0, 1 << (number.bit_length() // degree + 1)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if middle**degree <= number else (low, middle - 1)
    return low if low**degree == number else None


def _square_part(number: int) -> tuple[int, int]:
    """`a` and the square-free `b` of number = a * a * b."""
    outside, inside, rest, divisor = 1, 1, number, 2
    while divisor**3 <= rest:
        while rest % divisor**2 == 0:
            outside, rest = outside * divisor, rest // divisor**2
        if rest % divisor == 0:
            inside, rest = inside * divisor, rest // divisor
        divisor += 1
    root = math.isqrt(rest)  # what is left has at most two prime factors
    return (outside * root, inside) if root * root == rest else (outside, inside * rest)
