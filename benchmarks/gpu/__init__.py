"""What this project does and costs on a GPU: golden numbers, speed, memory against plan, where the time goes."""
