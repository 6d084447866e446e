"""What training minimises. All of it is free of the pulse's amplitude, which nobody can know."""

import math

import torch

# The band that the signal stage looks at, 40 to 240 bpm, in Hz.
BAND = (40 / 60, 240 / 60)
LOSSES = ("correlation", "mse")
# Below this standard deviation of a stretch's label there is no pulse in it.
NO_PULSE = 1e-6


def standardise(x: torch.Tensor) -> torch.Tensor:
    """Each row less its mean, over its standard deviation."""
    x = x - x.mean(1, keepdim=True)
    return x / x.std(1, keepdim=True).clamp_min(NO_PULSE)


def correlation(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Pearson's r of each row."""
    return torch.cosine_similarity(x - x.mean(1, keepdim=True), y - y.mean(1, keepdim=True), 1)


def band_weight(frames: int, interval: torch.Tensor) -> torch.Tensor:
    """Power weight of each frequency of `rfft` after integration, 1 / f^2 within the band.

    The edges fall off over 0.15 Hz. `interval` is each row's mean frame interval in seconds.
    """
    frequency = torch.arange(frames // 2 + 1, device=interval.device) / (frames * interval[:, None])
    rise = torch.sigmoid((frequency - BAND[0]) / 0.05)
    fall = torch.sigmoid((BAND[1] - frequency) / 0.05)
    return rise * fall / frequency.clamp_min(BAND[0] / 2).square()


def spectrum(x: torch.Tensor) -> torch.Tensor:
    """Each row less its mean, under a Hann window, by frequency."""
    window = torch.hann_window(x.shape[1], periodic=False, device=x.device)
    return torch.fft.rfft(window * (x - x.mean(1, keepdim=True)))


def band_correlation(x: torch.Tensor, y: torch.Tensor, interval: torch.Tensor) -> torch.Tensor:
    """Pearson's r of each row's pulse waves: both integrated and band-passed, by their spectra."""
    weight = band_weight(x.shape[1], interval)
    x, y = spectrum(x), spectrum(y)
    cross = (weight * (x * y.conj()).real).sum(1)
    power = [(weight * s.abs().square()).sum(1) for s in (x, y)]
    return cross / (power[0] * power[1]).clamp_min(1e-12).sqrt()


def peak_share(x: torch.Tensor, interval: torch.Tensor) -> torch.Tensor:
    """Share of each row's power in band that lies in its highest line (three bins under a Hann window).

    The signal stage looks for a line, whatever its height: a quiet output with a clean line would be
    a pulse to it.
    """
    power = spectrum(x).abs().square() * band_weight(x.shape[1], interval)
    lines = torch.nn.functional.avg_pool1d(power[:, None], 3, 1, 1)[:, 0] * 3
    return lines.amax(1) / power.sum(1).clamp_min(1e-12)


def pulse_loss(
    prediction: torch.Tensor,
    label: torch.Tensor,
    interval: torch.Tensor,
    weights: dict,
) -> tuple[torch.Tensor, dict[str, float]]:
    """The loss of a batch of stretches, [stretches, frames] each, and its parts.

    With a pulse: 1 - r of the waves in band, some 1 - r of the derivatives, some squared error
    against the standardised derivative, which teaches the output to shrink where it is unsure.
    Without (label all 0): the squared error, which keeps the output quiet, and the share of the
    highest line, which keeps it from looking like a pulse. `weights` holds `loss`,
    `derivative_weight`, `mse_weight`, `lifeless_weight` and `peak_weight`; with the loss `mse` a
    stretch with a pulse has the squared error alone, too.
    """
    alive = label.std(1) > NO_PULSE
    target = torch.where(alive[:, None], standardise(label), torch.zeros_like(label))
    error = (prediction - target).square().mean(1)
    wave = band_correlation(prediction, target, interval)
    derivative = correlation(prediction, target)
    pulse = (1 - wave) + weights["derivative_weight"] * (1 - derivative)
    pulse = pulse + weights["mse_weight"] * error
    if weights["loss"] == "mse":
        pulse = error
    peak = peak_share(prediction, interval)
    lifeless = weights["lifeless_weight"] * error + weights["peak_weight"] * peak
    loss = torch.where(alive, pulse, lifeless).mean()
    return loss, {"loss": loss.item(), "r_wave": mean(wave[alive]),
                  "r_derivative": mean(derivative[alive]),
                  "mse": mean(error[alive]), "mse_lifeless": mean(error[~alive]), "peak": mean(peak[~alive])}


def mean(x: torch.Tensor) -> float:
    return x.mean().item() if x.numel() else math.nan
